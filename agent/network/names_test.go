//go:build linux

package network

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// query asks for nothing: a header is all that a forwarder reads.
func query(number byte) []byte { return []byte{0, number, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 'q'} }

func answerTo(query []byte, code byte, text string) []byte {
	answer := append(bytes.Clone(query[:nameHeader]), text...)
	answer[2], answer[3] = answer[2]|0x80, code
	return answer
}

// server plays the name server of one network on a loopback address of its own.
func server(t *testing.T, address string, port uint16, code byte, text string) netip.AddrPort {
	t.Helper()
	at := netip.AddrPortFrom(netip.MustParseAddr(address), port)
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	at = udp.LocalAddr().(*net.UDPAddr).AddrPort()
	tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { udp.Close(); tcp.Close() })
	go func() {
		buffer := make([]byte, longestUDP)
		for {
			n, client, err := udp.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			udp.WriteToUDPAddrPort(answerTo(query(99), 0, "another's"), client) // is not taken for the answer
			udp.WriteToUDPAddrPort(answerTo(buffer[:n], code, text), client)
		}
	}()
	go func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			if message, err := readMessage(conn); err == nil {
				writeMessage(conn, answerTo(message, code, text+" by TCP"))
			}
			conn.Close()
		}
	}()
	return at
}

// client asks what listens at an address.
func client(t *testing.T, n *names) net.Conn {
	t.Helper()
	conn, err := net.Dial("udp", n.udp.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn
}

func told(t *testing.T, conn net.Conn, number byte) string {
	t.Helper()
	if _, err := conn.Write(query(number)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, longestUDP)
	n, err := conn.Read(answer)
	if err != nil {
		t.Fatal(err)
	}
	if n < nameHeader || answer[1] != number {
		t.Fatalf("answered % x", answer[:n])
	}
	return string(answer[nameHeader:n])
}

func start(t *testing.T, port uint16, groups ...[]netip.Addr) *names {
	t.Helper()
	n := newNames(netip.MustParseAddrPort("127.0.0.1:0"), port)
	if err := n.serve(groups); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.rest() })
	return n
}

func TestANameIsLookedForInOneNetworkAfterTheOther(t *testing.T) {
	first := server(t, "127.0.0.2", 0, noSuchName, "unknown")
	second := server(t, "127.0.0.3", first.Port(), 0, "found")
	third := server(t, "127.0.0.4", first.Port(), refused, "refused")
	dead := netip.MustParseAddr("127.0.0.5") // refuses at once
	groups := func(servers ...netip.AddrPort) (all [][]netip.Addr) {
		for _, s := range servers {
			all = append(all, []netip.Addr{dead, s.Addr()})
		}
		return all
	}
	n := start(t, first.Port(), groups(first, second)...)
	conn := client(t, n)
	for _, c := range []struct {
		asked [][]netip.Addr
		want  string
	}{
		{groups(first, second), "found"},
		{groups(second, first), "found"},
		{groups(third, second), "found"},
		{groups(third, first), "unknown"},
		{groups(first, third), "unknown"},
		{groups(third), "refused"},
	} {
		if err := n.serve(c.asked); err != nil {
			t.Fatal(err)
		}
		for number := range byte(3) {
			if got := told(t, conn, number); got != c.want {
				t.Errorf("%v told %q, want %q", c.asked, got, c.want)
			}
		}
	}
}

func TestLongAnswersComeByTCP(t *testing.T) {
	at := server(t, "127.0.0.2", 0, 0, "all of it")
	n := start(t, at.Port(), []netip.Addr{at.Addr()})
	conn, err := net.Dial("tcp", n.tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	for number := range byte(2) { // on one connection
		if err := writeMessage(conn, query(number)); err != nil {
			t.Fatal(err)
		}
		answer, err := readMessage(conn)
		if err != nil || string(answer[nameHeader:]) != "all of it by TCP" || answer[1] != number {
			t.Fatalf("answered %q, %v", answer, err)
		}
	}
}

func TestNonsenseIsNotPassedOn(t *testing.T) {
	at := server(t, "127.0.0.2", 0, 0, "found")
	n := start(t, at.Port(), []netip.Addr{at.Addr()})
	conn := client(t, n)
	for _, nonsense := range [][]byte{{1, 2, 3}, answerTo(query(7), 0, "an answer"), {}} {
		if _, err := conn.Write(nonsense); err != nil {
			t.Fatal(err)
		}
	}
	if got := told(t, conn, 8); got != "found" {
		t.Errorf("told %q", got)
	}
	tcp, err := net.Dial("tcp", n.tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	tcp.SetDeadline(time.Now().Add(10 * time.Second))
	if err := writeMessage(tcp, []byte("short")); err != nil {
		t.Fatal(err)
	}
	if _, err := tcp.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a short query by TCP: %v", err)
	}
}

func TestAFreedPortIsAContainersOwn(t *testing.T) {
	at := server(t, "127.0.0.2", 0, 0, "found")
	n := start(t, at.Port(), []netip.Addr{at.Addr()})
	taken := n.udp.LocalAddr().(*net.UDPAddr)
	for range 2 {
		if err := n.rest(); err != nil {
			t.Fatal(err)
		}
	}
	own, err := net.ListenUDP("udp", taken)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	n.at = taken.AddrPort()
	if err := n.serve([][]netip.Addr{{at.Addr()}}); err == nil {
		t.Error("it listens where a program does")
	}
}

func TestAnAnswerIsPassedOnWhole(t *testing.T) {
	long := strings.Repeat("x", 6000)
	at := server(t, "127.0.0.2", 0, 0, long)
	n := start(t, at.Port(), []netip.Addr{at.Addr()})
	if got := told(t, client(t, n), 1); got != long {
		t.Errorf("told %d bytes of %d", len(got), len(long))
	}
}
