package qemu

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"
)

// Event is something that QEMU tells by itself.
type Event struct {
	Name string `json:"event"`
	Data struct {
		Guest  bool   `json:"guest"`  // SHUTDOWN: it came from inside
		Reason string `json:"reason"` // SHUTDOWN: guest-reset, guest-shutdown, ...
	} `json:"data"`
}

// monitor is a QMP connection: JSON objects, one a line.
type monitor struct {
	conn   net.Conn
	events chan Event

	mu      sync.Mutex
	next    int
	waiting map[string]chan reply
	err     error // why it ended
}

type reply struct {
	ID     string          `json:"id"`
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
}

// Limits of the conversation. QEMU's lines are short; an answer comes at once
// unless the machine hangs.
const (
	qmpLine      = 1 << 20
	qmpAnswer    = 30 * time.Second
	qmpEventRoom = 64
)

var errMonitorClosed = errors.New("the QEMU monitor is closed")

// dialMonitor connects and leaves negotiation mode.
func dialMonitor(ctx context.Context, path string) (*monitor, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	m := &monitor{conn: conn, events: make(chan Event, qmpEventRoom), waiting: map[string]chan reply{}}
	go m.read()
	if err := m.do(ctx, "qmp_capabilities", nil); err != nil {
		conn.Close()
		return nil, err
	}
	return m, nil
}

// read sorts what QEMU says into answers and events, until the connection ends.
func (m *monitor) read() {
	lines := bufio.NewScanner(m.conn)
	lines.Buffer(make([]byte, 4096), qmpLine)
	for lines.Scan() {
		var r reply
		if err := json.Unmarshal(lines.Bytes(), &r); err == nil && r.ID != "" {
			m.answer(r)
			continue
		}
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err == nil && e.Name != "" {
			select {
			case m.events <- e:
			default: // nobody reads; only SHUTDOWN matters, and it ends the machine
			}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = errMonitorClosed
	for _, w := range m.waiting {
		close(w)
	}
	m.waiting = nil
	close(m.events)
}

func (m *monitor) answer(r reply) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w, ok := m.waiting[r.ID]; ok {
		w <- r
		delete(m.waiting, r.ID)
	}
}

// do carries out one command.
func (m *monitor) do(ctx context.Context, command string, args any) error {
	id, answer, err := m.send(command, args)
	if err != nil {
		return fmt.Errorf("QMP %s: %w", command, err)
	}
	ctx, cancel := context.WithTimeout(ctx, qmpAnswer)
	defer cancel()
	select {
	case r, ok := <-answer:
		if !ok {
			return fmt.Errorf("QMP %s: %w", command, errMonitorClosed)
		}
		if r.Error != nil {
			return fmt.Errorf("QMP %s: %s: %s", command, r.Error.Class, r.Error.Desc)
		}
		return nil
	case <-ctx.Done():
		m.mu.Lock()
		delete(m.waiting, id)
		m.mu.Unlock()
		return fmt.Errorf("QMP %s: %w", command, ctx.Err())
	}
}

func (m *monitor) send(command string, args any) (id string, answer chan reply, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return "", nil, m.err
	}
	m.next++
	id = strconv.Itoa(m.next)
	request := map[string]any{"execute": command, "id": id}
	if args != nil {
		request["arguments"] = args
	}
	line, err := json.Marshal(request)
	if err != nil {
		return "", nil, err
	}
	answer = make(chan reply, 1)
	m.waiting[id] = answer
	m.conn.SetWriteDeadline(time.Now().Add(qmpAnswer))
	if _, err := m.conn.Write(append(line, '\n')); err != nil {
		delete(m.waiting, id)
		return "", nil, err
	}
	return id, answer, nil
}
