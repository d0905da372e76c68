package process

const (
	ringSmallest = 64 << 10
	// ringIdle is the largest empty ring that is kept: giving a larger one back and
	// making it again is dear, and most processes are idle.
	ringIdle = 256 << 10
)

// ring is a queue of bytes that grows by doubling. The zero value is ready.
type ring struct {
	buffer []byte // its length is a power of two
	head   int    // where the oldest byte is
	length int
}

// room returns space behind the newest byte, up to most bytes in one piece, and
// at least one. add tells how much of it was filled.
func (r *ring) room(most int) []byte {
	if free := len(r.buffer) - r.length; free < most {
		r.grow(r.length + most)
	}
	tail := (r.head + r.length) & (len(r.buffer) - 1)
	end := len(r.buffer)
	if tail < r.head {
		end = r.head
	}
	return r.buffer[tail:min(end, tail+most)]
}

func (r *ring) grow(wanted int) {
	size := max(len(r.buffer), ringSmallest)
	for size < wanted {
		size *= 2
	}
	if size == len(r.buffer) {
		return
	}
	larger := make([]byte, size)
	r.copy(larger, 0)
	r.buffer, r.head = larger, 0
}

func (r *ring) add(n int) { r.length += n }

// copy copies bytes from offset on, of those that are held, and returns how many.
func (r *ring) copy(p []byte, offset int) int {
	p = p[:min(len(p), r.length-offset)]
	if len(p) == 0 {
		return 0
	}
	start := (r.head + offset) & (len(r.buffer) - 1)
	first := r.buffer[start:min(start+len(p), len(r.buffer))]
	inPieces(p, first)
	inPieces(p[len(first):], r.buffer[:len(p)-len(first)])
	return len(p)
}

// inPieces copies from into to a little at a time: the runtime copies more than
// 2 KiB with REP MOVSQ, which an emulator carries out word by word, five times slower.
func inPieces(to, from []byte) {
	for len(from) > 0 {
		n := copy(to, from[:min(len(from), 2<<10)])
		to, from = to[n:], from[n:]
	}
}

// drop forgets the n oldest bytes.
func (r *ring) drop(n int) {
	r.length -= n
	if r.length > 0 {
		r.head = (r.head + n) & (len(r.buffer) - 1)
		return
	}
	r.head = 0
	if len(r.buffer) > ringIdle {
		r.buffer = nil
	}
}
