//go:build linux

package network

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	nameHeader   = 12 // bytes of RFC 1035, 4.1.1
	longestUDP   = 1<<16 - 1
	mostQueries  = 64 // at once; who is dropped asks again
	serverLimit  = 3 * time.Second
	clientLimit  = 30 * time.Second
	serverFailed = 2
	noSuchName   = 3
	refused      = 5
)

// names answers for the name servers of several networks. Each knows the containers of
// its own, and a program's resolver believes the first that there is no such name.
type names struct {
	at    netip.AddrPort // where it listens
	port  uint16         // of the servers
	slots chan struct{}

	mu     sync.Mutex
	groups [][]netip.Addr // the servers of each network
	udp    *net.UDPConn
	tcp    *net.TCPListener
}

func newNames(at netip.AddrPort, port uint16) *names {
	return &names{at: at, port: port, slots: make(chan struct{}, mostQueries)}
}

// serve answers for these servers from now on.
func (n *names) serve(groups [][]netip.Addr) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.groups = groups
	if n.udp != nil {
		return nil
	}
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(n.at))
	if err != nil {
		return err
	}
	tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(n.at))
	if err != nil {
		udp.Close()
		return err
	}
	n.udp, n.tcp = udp, tcp
	go n.serveUDP(udp)
	go n.serveTCP(tcp)
	return nil
}

// rest frees the port: a container may be a name server itself.
func (n *names) rest() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.udp == nil {
		return nil
	}
	err := errors.Join(n.udp.Close(), n.tcp.Close())
	n.udp, n.tcp = nil, nil
	return err
}

func (n *names) serveUDP(conn *net.UDPConn) {
	buffer := make([]byte, longestUDP)
	for {
		length, client, err := conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return // closed
		}
		query := bytes.Clone(buffer[:length])
		n.side(func() {
			if answer := n.ask("udp", query); answer != nil {
				conn.WriteToUDPAddrPort(answer, client) // who does not get it asks again
			}
		})
	}
}

func (n *names) serveTCP(listener *net.TCPListener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return // closed
		}
		if !n.side(func() { n.converse(conn) }) {
			conn.Close()
		}
	}
}

// side does something beside what it is doing, if there is room.
func (n *names) side(do func()) bool {
	select {
	case n.slots <- struct{}{}:
	default:
		return false
	}
	go func() {
		defer func() { <-n.slots }()
		do()
	}()
	return true
}

// converse answers one query after the other, until the client has no more.
func (n *names) converse(conn net.Conn) {
	defer conn.Close()
	for conn.SetDeadline(time.Now().Add(clientLimit)) == nil {
		query, err := readMessage(conn)
		if err != nil {
			return
		}
		answer := n.ask("tcp", query)
		if answer == nil || writeMessage(conn, answer) != nil {
			return
		}
	}
}

// ask has the networks asked in turn, until one knows the name.
func (n *names) ask(protocol string, query []byte) (unknown []byte) {
	if len(query) < nameHeader || isAnswer(query) {
		return nil
	}
	n.mu.Lock()
	groups := n.groups
	n.mu.Unlock()
	for _, servers := range groups {
		answer := n.askOne(protocol, servers, query)
		if answer == nil {
			continue
		}
		switch code := answer[3] & 0xF; {
		case code != serverFailed && code != noSuchName && code != refused:
			return answer
		case unknown == nil || code == noSuchName:
			unknown = answer
		}
	}
	return unknown
}

// askOne asks the servers of one network, until one answers.
func (n *names) askOne(protocol string, servers []netip.Addr, query []byte) []byte {
	for _, server := range servers {
		answer, err := exchange(protocol, netip.AddrPortFrom(server, n.port), query)
		if err == nil {
			return answer
		}
	}
	return nil
}

// exchange sends a query to a server and returns its answer.
func exchange(protocol string, server netip.AddrPort, query []byte) ([]byte, error) {
	conn, err := net.DialTimeout(protocol, server.String(), serverLimit)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(serverLimit)); err != nil {
		return nil, err
	}
	if protocol == "tcp" {
		if err := writeMessage(conn, query); err != nil {
			return nil, err
		}
		answer, err := readMessage(conn)
		if err == nil && !answers(answer, query) {
			err = fmt.Errorf("%s answered another query", server)
		}
		return answer, err
	}
	if _, err := conn.Write(query); err != nil {
		return nil, err
	}
	answer := make([]byte, longestUDP)
	for {
		length, err := conn.Read(answer)
		if err != nil {
			return nil, err
		}
		if answers(answer[:length], query) {
			return answer[:length], nil
		}
	}
}

func isAnswer(message []byte) bool { return message[2]&0x80 != 0 }

// answers tells whether a message is the answer to a query: it has its number.
func answers(message, query []byte) bool {
	return len(message) >= nameHeader && isAnswer(message) && bytes.Equal(message[:2], query[:2])
}

// readMessage reads what TCP puts a length before (RFC 1035, 4.2.2).
func readMessage(conn io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(conn, message)
	return message, err
}

func writeMessage(conn io.Writer, message []byte) error {
	if len(message) > 0xFFFF {
		return fmt.Errorf("a message of %d bytes", len(message))
	}
	_, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...))
	return err
}
