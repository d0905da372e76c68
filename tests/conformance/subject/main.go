// Command subject is the program that the conformance suite runs in every guest,
// so that what differs between guests is the agent's doing. Its first word names
// what it does.
package main

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var verbs = map[string]func(words []string) int{
	"exit":         exit,
	"print":        func(words []string) int { return say(os.Stdout, words) },
	"complain":     func(words []string) int { return say(os.Stderr, words) },
	"cat":          func([]string) int { return copyAll(os.Stdout) },
	"hash":         hash,
	"line":         line,
	"bytes":        bytes,
	"flood":        func([]string) int { return flood() },
	"env":          env,
	"cwd":          cwd,
	"command":      func([]string) int { return say(os.Stdout, []string{commandLine()}) },
	"handles":      func([]string) int { return say(os.Stdout, []string{inherited()}) },
	"sleep":        func([]string) int { return sleep() },
	"trap":         trap,
	"identify":     identify,
	"await":        await,
	"alive":        isAlive,
	"count-parent": func([]string) int { return say(os.Stdout, []string{strconv.Itoa(handlesOf(os.Getppid()))}) },
	"family":       family,
	"stray":        func([]string) int { return stray() },
	"size":         func([]string) int { return follow() },
}

func main() {
	if len(os.Args) < 2 || verbs[os.Args[1]] == nil {
		fmt.Fprintf(os.Stderr, "subject: unknown verb in %q\n", os.Args)
		os.Exit(2)
	}
	os.Exit(verbs[os.Args[1]](os.Args[2:]))
}

// exit CODE
func exit(words []string) int { return number(words[0]) }

func number(word string) int {
	n, err := strconv.ParseUint(word, 10, 32)
	check(err)
	return int(n)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "subject:", err)
		os.Exit(3)
	}
}

func say(to io.Writer, words []string) int {
	_, err := fmt.Fprintf(to, "%s\n", strings.Join(words, " "))
	check(err)
	return 0
}

func copyAll(to io.Writer) int {
	_, err := io.Copy(to, os.Stdin)
	check(err)
	return 0
}

// hash prints the SHA-256 of its input.
func hash([]string) int {
	digest := sha256.New()
	copyAll(digest)
	return say(os.Stdout, []string{fmt.Sprintf("%x", digest.Sum(nil))})
}

// line prints "ready", reads a line, prints it back and ends with CODE.
func line(words []string) int {
	say(os.Stdout, []string{"ready"})
	text, err := bufio.NewReader(os.Stdin).ReadString('\n')
	check(err)
	say(os.Stdout, []string{"got", strings.TrimSpace(text)})
	return number(words[0])
}

// bytes COUNT prints the numbers from 0 as bytes, 251 of them again and again.
func bytes(words []string) int {
	const period = 251
	pattern := make([]byte, period*256)
	for i := range pattern {
		pattern[i] = byte(i % period)
	}
	for left := number(words[0]); left > 0; {
		n, err := os.Stdout.Write(pattern[:min(left, len(pattern))])
		check(err)
		left -= n
	}
	return 0
}

// flood prints until somebody ends it.
func flood() int {
	block := []byte(strings.Repeat("flood\n", 10_000))
	for {
		if _, err := os.Stdout.Write(block); err != nil {
			return 0
		}
	}
}

// env NAME... prints the values of variables, a line each.
func env(words []string) int {
	for _, name := range words {
		value, set := os.LookupEnv(name)
		if !set {
			value = "(unset)"
		}
		say(os.Stdout, []string{value})
	}
	return 0
}

// alive PID tells whether a process is there.
func isAlive(words []string) int {
	return say(os.Stdout, []string{strconv.FormatBool(alive(number(words[0])))})
}

// identify prints its number and stays.
func identify([]string) int {
	say(os.Stdout, []string{"pid", strconv.Itoa(os.Getpid())})
	time.Sleep(math.MaxInt64)
	return 0
}

// await PID says "gone" once a process is.
func await(words []string) int {
	process, err := os.FindProcess(number(words[0]))
	if err == nil {
		process.Wait()
	}
	return say(os.Stdout, []string{"gone"})
}

func cwd([]string) int {
	folder, err := os.Getwd()
	check(err)
	return say(os.Stdout, []string{folder})
}

// sleep says "ready" and does what the system does with signals.
func sleep() int {
	say(os.Stdout, []string{"ready"})
	time.Sleep(math.MaxInt64) // an empty select would be found to be a deadlock
	return 0
}

// trap CODE says "ready", takes one signal, prints what it was and ends with CODE.
func trap(words []string) int {
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	say(os.Stdout, []string{"ready"})
	say(os.Stdout, []string{"caught", (<-caught).String()})
	return number(words[0])
}

// family says "ready" when this program and one that it has started both take
// signals, waits for the other one's end and tells its code.
func family([]string) int {
	signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	self, err := os.Executable()
	check(err)
	other := exec.Command(self, "trap", "5")
	other.Stdout, other.Stderr = os.Stdout, os.Stderr
	other.Run()
	return say(os.Stdout, []string{"the other one's code is", strconv.Itoa(other.ProcessState.ExitCode())})
}

// stray leaves a program behind that holds its handles, and prints its number.
func stray() int {
	self, err := os.Executable()
	check(err)
	left := exec.Command(self, "sleep")
	left.Stderr = os.Stderr
	output, err := left.StdoutPipe()
	check(err)
	check(left.Start())
	_, err = bufio.NewReader(output).ReadString('\n')
	check(err)
	return say(os.Stdout, []string{strconv.Itoa(left.Process.Pid)})
}
