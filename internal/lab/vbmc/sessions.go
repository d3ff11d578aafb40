package vbmc

import (
	"crypto/rand"
	"errors"
	"sort"
	"strconv"
	"sync"
	"time"
)

// errSessionsFull says that no session is free.
var errSessionsFull = errors.New("all sessions are taken")

// session is one login.
type session struct {
	id       string
	token    string
	username string
	created  time.Time
	used     time.Time
}

// sessions is the table of open logins of the Redfish service. It is lost when
// the controller restarts.
type sessions struct {
	limit   int
	timeout time.Duration

	mu      sync.Mutex
	byToken map[string]*session
	last    int
}

func newSessions(limit int, timeout time.Duration) *sessions {
	return &sessions{limit: limit, timeout: timeout, byToken: map[string]*session{}}
}

// create opens a session, or returns errSessionsFull.
func (s *sessions) create(username string) (session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	if len(s.byToken) >= s.limit {
		return session{}, errSessionsFull
	}
	s.last++
	now := time.Now()
	n := &session{id: strconv.Itoa(s.last), token: rand.Text(), username: username, created: now, used: now}
	s.byToken[n.token] = n
	return *n, nil
}

// use reports whether a token is good, and keeps its session alive.
func (s *sessions) use(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	found, ok := s.byToken[token]
	if ok {
		found.used = time.Now()
	}
	return ok
}

// list returns the open sessions in the order of their creation.
func (s *sessions) list() []session {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	var all []session
	for _, n := range s.byToken {
		all = append(all, *n)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].created.Before(all[j].created) })
	return all
}

// remove ends a session by its id.
func (s *sessions) remove(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for token, n := range s.byToken {
		if n.id == id {
			delete(s.byToken, token)
			return true
		}
	}
	return false
}

func (s *sessions) count() int { return len(s.list()) }

// expire forgets sessions that nobody used for too long. Its callers hold mu.
func (s *sessions) expire() {
	for token, n := range s.byToken {
		if time.Since(n.used) > s.timeout {
			delete(s.byToken, token)
		}
	}
}
