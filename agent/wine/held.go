//go:build linux

package wine

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"linwin/agent/process"
	"linwin/agent/registry"
	"linwin/agent/wire"
)

// held is a user's launcher that waits for its request. Half of what a program's
// start takes is the launcher's, which so has happened before there is a program.
type held struct {
	*running
	account account
	kind    *Kind
	files   *process.Stdio
}

var (
	_ process.Holder = (*Kind)(nil)
	_ process.Held   = (*held)(nil)
)

// waiting holds launchers until the first program takes one.
type waiting struct {
	mu  sync.Mutex
	all []*held
}

func (w *waiting) add(h *held) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, h)
}

// first is one of them, nil where there is none.
func (w *waiting) first() *held {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.all) == 0 {
		return nil
	}
	return w.all[0]
}

// take hands all of them over.
func (w *waiting) take() []*held {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.all
	w.all = nil
	return all
}

// Hold starts a launcher for the next program of each user that images name:
// nobody knows yet which it will be.
func (k *Kind) Hold() error {
	for _, a := range accounts {
		if a.domain != containerDomain {
			continue
		}
		if err := k.hold(a); err != nil {
			return err
		}
	}
	return nil
}

func (k *Kind) hold(a account) error {
	h := &held{account: a, kind: k, files: &process.Stdio{}}
	if err := h.files.Open(true); err != nil {
		return err
	}
	var err error
	h.running, err = k.launch(a, h.files.Child[0], h.files.Child[1], h.files.Child[2], nil, false)
	h.files.CloseChild()
	if err != nil {
		h.files.CloseOwn()
		return err
	}
	if word, _ := h.next(); word != "waiting" {
		h.discard()
		return fmt.Errorf("the launcher did not wait for a request but reported %q", word)
	}
	k.held.add(h)
	return nil
}

// changeRegistry has a launcher that waits change the registry, and keeps all of
// them if what they have read of it before still holds. Changes that failed are half made.
func (k *Kind) changeRegistry(changes []registry.Change) error {
	h := k.held.first()
	if h == nil {
		return errors.New("no launcher waits")
	}
	err := os.WriteFile(filepath.Join(h.folder, "registry"), registry.Encode(changes), 0o600)
	if err == nil {
		_, err = h.control.WriteString("r")
	}
	if err != nil {
		return err
	}
	if word, rest := h.next(); word != "changed" {
		return fmt.Errorf("the registry did not take a change: %s %s", word, rest)
	}
	if !slices.ContainsFunc(changes, readByPrograms) {
		return nil
	}
	for _, h := range k.held.take() {
		if err := h.job.Kill(); err != nil {
			return err
		}
		h.discard()
	}
	return nil
}

// discard gives the launcher up, which is ending.
func (h *held) discard() {
	h.files.CloseOwn()
	<-h.ended
	h.close()
}

// Take implements process.Holder. The launchers of other users are ended.
func (k *Kind) Take(spec wire.Exec) process.Held {
	var taken *held
	for _, h := range k.held.take() {
		if a, err := findAccount(spec.User); err == nil && a == h.account {
			taken = h
		} else if err := h.job.Kill(); err != nil {
			log.Printf("exec: %v", err)
		} else {
			go h.discard()
		}
	}
	if taken == nil {
		return nil
	}
	return taken
}

// Stdio implements process.Held.
func (h *held) Stdio() *process.Stdio { return h.files }

// Start implements process.Held.
func (h *held) Start(spec wire.Exec) (process.Job, error) {
	request, err := h.kind.request(spec, h.account)
	if err == nil {
		err = h.ask(request)
	}
	if err == nil {
		_, err = h.control.WriteString("!")
	}
	if err != nil {
		return nil, errors.Join(err, h.job.Kill())
	}
	return h.started(spec)
}

// rehearse runs a program that does nothing, so that what any program needs is in
// the page cache.
func (k *Kind) rehearse() error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	line := "cmd /c exit"
	began, err := k.Start(wire.Exec{CommandLine: &line, Cwd: `C:\`}, null, null, null)
	if err != nil {
		return err
	}
	if code := began.Wait(); code != 0 {
		return fmt.Errorf("%s ended with %d", line, code)
	}
	return nil
}
