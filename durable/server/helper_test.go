package server_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/server"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ends is an orchestration that takes one event and is done.
var ends = durable.NewOrchestration("ends", func(ctx *durable.Context, in string) (string, error) {
	more, err := durable.WaitForEvent[string](ctx, "end").Await()
	return in + more, err
})

// storeURL is a store on disk, with a path that is short enough for its socket.
func storeURL(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return "sqlite:" + filepath.Join(dir, "hub.db")
}

// open opens a server on free ports.
func open(t testing.TB, o server.Options) *server.Server {
	t.Helper()
	s, err := try(t, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error("close:", err)
		}
	})
	return s
}

func try(t testing.TB, o server.Options) (*server.Server, error) {
	t.Helper()
	if o.GRPC == "" {
		o.GRPC = "127.0.0.1:0"
	}
	if o.HTTP == "" {
		o.HTTP = "127.0.0.1:0"
	}
	o.Logger = slog.New(slog.DiscardHandler)
	return server.Open(t.Context(), o, ends)
}

// client connects as an SDK does.
func client(t testing.TB, s *server.Server, roots *x509.CertPool) protocol.TaskHubSidecarServiceClient {
	t.Helper()
	address, _ := s.Addresses()
	creds := insecure.NewCredentials()
	if roots != nil {
		creds = credentials.NewTLS(&tls.Config{RootCAs: roots, ServerName: "localhost"})
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return protocol.NewTaskHubSidecarServiceClient(conn)
}

// in is the context of calls for a hub, with a token unless that is "".
func in(t testing.TB, hub, secret string) context.Context {
	ctx := metadata.AppendToOutgoingContext(t.Context(), "taskhub", hub)
	if secret != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+secret)
	}
	return ctx
}

func start(ctx context.Context, c protocol.TaskHubSidecarServiceClient, id string) error {
	_, err := c.StartInstance(ctx, &protocol.CreateInstanceRequest{InstanceId: id, Name: "ends"})
	return err
}

func exists(t testing.TB, ctx context.Context, c protocol.TaskHubSidecarServiceClient, id string) bool {
	t.Helper()
	m, err := c.GetInstance(ctx, &protocol.GetInstanceRequest{InstanceId: id})
	if err != nil {
		t.Fatal(err)
	}
	return m.Exists
}

// certificate makes one for localhost that signs itself.
func certificate(t testing.TB) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(c)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}, roots
}

// get makes a request and gives its status and body.
func get(t testing.TB, r *http.Request, roots *x509.CertPool) (int, string) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	if roots != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	resp, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func request(t testing.TB, method, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
