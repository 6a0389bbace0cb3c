package server_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/server"
	"github.com/agentrun-dev/agentrun/durable/taskhub/access"
)

// hubHandler tells whether the request may use the hub of its path.
func hubHandler(s *server.Server) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hub, need := strings.TrimPrefix(r.URL.Path, "/"), access.Operator
		if r.Method == http.MethodGet {
			need = access.Reader
		}
		err := s.Authorize(r, hub, need)
		if err == nil {
			_, err = s.Client(r.Context(), hub)
		}
		switch {
		case errors.Is(err, server.ErrUnauthenticated):
			w.WriteHeader(http.StatusUnauthorized)
		case errors.Is(err, server.ErrDenied):
			w.WriteHeader(http.StatusForbidden)
		case errors.Is(err, durable.ErrNotFound):
			w.WriteHeader(http.StatusNotFound)
		}
		if err != nil {
			_, _ = io.WriteString(w, err.Error())
		} else if token, ok := s.Caller(r); ok {
			_, _ = io.WriteString(w, token.ID)
		}
	})
}

func TestHTTPWithoutTokens(t *testing.T) {
	s := open(t, server.Options{Store: "memory:", Handler: hubHandler})
	_, address := s.Addresses()
	for _, test := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/healthz", 200}, {"GET", "/readyz", 200}, {"GET", "/default", 200}, {"POST", "/default", 200}, {"GET", "/nowhere", 404},
	} {
		r := request(t, test.method, "http://"+address+test.path)
		r.SetBasicAuth("anybody", "anything")
		if code, body := get(t, r, nil); code != test.want {
			t.Errorf("%+v: %d %s", test, code, body)
		}
	}
	bare := open(t, server.Options{Store: "memory:"})
	_, address = bare.Addresses()
	for path, want := range map[string]int{"/readyz": 200, "/": 404} {
		if code, body := get(t, request(t, "GET", "http://"+address+path), nil); code != want {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}

func TestHTTPWithTokens(t *testing.T) {
	secure, roots := certificate(t)
	o := server.Options{Store: storeURL(t), TLS: secure, RequireToken: true, Dev: true, Handler: hubHandler}
	s := open(t, o)
	path, err := server.TokenFile(o.Store)
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[access.Role]string{"": "", "none": "art_" + strings.Repeat("0", 43)}
	for _, role := range access.Roles() {
		if secrets[role], _, err = access.Open(path).Create(access.Token{Role: role, Hub: "default"}); err != nil {
			t.Fatal(err)
		}
	}
	_, address := s.Addresses()
	do := func(method, path, scheme string, role access.Role) (int, string) {
		r := request(t, method, "https://"+address+path)
		switch {
		case scheme == "basic":
			r.SetBasicAuth("anybody", secrets[role])
		case secrets[role] != "":
			r.Header.Set("Authorization", "Bearer "+secrets[role])
		}
		return get(t, r, roots)
	}
	for _, test := range []struct {
		method, path string
		role         access.Role
		want         int
	}{
		{"GET", "/healthz", "", 200}, {"GET", "/readyz", "", 200},
		{"GET", "/default", "", 401}, {"GET", "/default", "none", 401}, {"POST", "/default", "", 401},
		{"GET", "/default", access.Reader, 200}, {"GET", "/default", access.Worker, 200},
		{"POST", "/default", access.Reader, 403}, {"DELETE", "/default", access.Worker, 403},
		{"POST", "/default", access.Operator, 200}, {"POST", "/default", access.Admin, 200},
		{"GET", "/other", access.Admin, 403},
	} {
		for _, scheme := range []string{"bearer", "basic"} {
			code, body := do(test.method, test.path, scheme, test.role)
			if code != test.want || strings.Contains(body, "art_") {
				t.Errorf("%s %s as %q, %s: %d %s", test.method, test.path, test.role, scheme, code, body)
			}
		}
	}
	if _, body := do("POST", "/default", "bearer", access.Reader); !strings.Contains(body, "agentrun token create --role operator --hub default") {
		t.Error(body)
	}
	if names, err := s.Names(t.Context()); err != nil || len(names) != 1 {
		t.Error("a hub was made for one who may not use it:", names, err)
	}
}

// TestNotReady tells why, unless that would tell strangers.
func TestNotReady(t *testing.T) {
	for _, tokens := range []bool{false, true} {
		s := open(t, server.Options{Store: storeURL(t), RequireToken: tokens})
		if err := s.Halt(t.Context(), "default"); err != nil {
			t.Fatal(err)
		}
		<-s.Done()
		_, address := s.Addresses()
		code, body := get(t, request(t, "GET", "http://"+address+"/readyz"), nil)
		if code != 503 || strings.Contains(body, "engine") == tokens {
			t.Errorf("%d %s", code, body)
		}
		if code, _ := get(t, request(t, "GET", "http://"+address+"/healthz"), nil); code != 200 {
			t.Error("the process lives:", code)
		}
	}
}
