// Package rules breaks each rule, and does what looks like it.
package rules

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"database/sql"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"math/rand"
	randv2 "math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/google/uuid"
)

func clock(ctx *durable.Context, t time.Time) time.Time {
	_ = time.Since(t)                                         // want `^time: clock calls time.Since: use ctx.Now\(\)`
	_ = time.Until(t)                                         // want `^time: `
	_ = time.After(1)                                         // want `^time: `
	_ = time.Tick(1)                                          // want `^time: `
	_ = time.NewTimer(1)                                      // want `^time: `
	f := time.Now                                             // want `^time: clock uses time.Now: `
	_, cancel := context.WithTimeout(context.Background(), 1) // want `^time: clock calls context.WithTimeout: wait for ctx.Timer`
	cancel()
	_ = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Hour)
	_ = time.Date(2026, 1, 1, 0, 0, 0, 0, time.Local) // want `^env: clock uses time.Local: use UTC`
	_, _ = time.ParseDuration("1s")
	return f().Add(ctx.Now().Sub(t))
}

func sleep(ctx *durable.Context) {
	time.Sleep(1) // want `^sleep: sleep calls time.Sleep: use ctx.Sleep`
	_ = ctx.Sleep(1)
}

func random(ctx *durable.Context) {
	_ = rand.Intn(3)       // want `^random: random calls rand.Intn`
	rand.Shuffle(0, nil)   // want `^random: `
	_ = randv2.N(3)        // want `^random: `
	_, _ = crand.Read(nil) // want `^random: `
	own := rand.New(rand.NewSource(1))
	_ = own.Intn(3)
	_ = randv2.New(randv2.NewPCG(1, 2)).IntN(3)
}

func id(ctx *durable.Context) {
	_ = uuid.NewString()    // want `^id: id calls uuid.NewString: use ctx.NewGUID\(\)$`
	_, _ = uuid.NewRandom() // want `^id: `
	_, _ = uuid.Parse("")
	_ = uuid.NewSHA1(uuid.UUID{}, nil)
	_ = ctx.NewGUID()
}

func goroutines(ctx *durable.Context) {
	go func() { // want `^goroutine: goroutines starts a goroutine: use durable.Go, or start tasks with Start`
		time.Sleep(1)
	}()
	runtime.Gosched() // want `^goroutine: `
	_ = ctx.Go(func(ctx *durable.Context) error {
		_ = time.Now() // want `^time: goroutines calls time.Now`
		return nil
	})
}

func channels(ctx *durable.Context, c chan int) {
	made := make(chan int) // want `^channel: channels makes a channel`
	c <- 1                 // want `^channel: channels sends to a channel`
	_ = <-c                // want `^channel: channels receives from a channel`
	for range made {       // want `^channel: channels ranges over a channel`
	}
	close(made) // want `^channel: channels closes a channel`
	_ = make([]int, 1)
	_ = len(c)
}

func selects(ctx *durable.Context, c, d chan int) {
	select { // want `^select: selects selects: use durable.Any`
	case <-c:
		_ = time.Now() // want `^time: `
	case d <- 1:
	}
}

func syncs(ctx *durable.Context) {
	var mu sync.Mutex
	mu.Lock()         // want `^sync: syncs calls sync.Mutex.Lock: leave it out`
	defer mu.Unlock() // want `^sync: `
	var wg sync.WaitGroup
	wg.Wait() // want `^sync: `
	var once sync.Once
	once.Do(func() { time.Sleep(1) }) // want `^sleep: `
	var n atomic.Int64
	n.Add(1) // want `^sync: syncs calls atomic.Int64.Add`
}

func files(ctx *durable.Context, r io.Reader, w *bytes.Buffer, db *sql.DB) error {
	_, _ = os.ReadFile("x") // want `^io: files calls os.ReadFile: do it in an activity`
	fmt.Fprintln(os.Stderr) // want `^io: files uses os.Stderr: `
	_, _ = http.Get("x")    // want `^io: `
	_ = http.DefaultClient  // want `^io: `
	_ = exec.Command("x")   // want `^io: `
	_ = db.Ping()           // want `^io: files calls sql.DB.Ping`
	os.Exit(1)              // want `^io: files calls os.Exit: return an error`
	_, err := io.ReadAll(strings.NewReader("x"))
	fmt.Fprintln(w, http.StatusText(200), os.IsNotExist(err))
	return err
}

func client(ctx *durable.Context, c *durable.Client, o *durable.Orchestration[int, int]) {
	_ = c.Schedule(nil, "x")     // want `^io: client calls durable.Client.Schedule: do it in an activity; an orchestration starts others`
	_, _ = o.Schedule(nil, c, 1) // want `^io: client calls durable.Orchestration.Schedule`
	_ = durable.Store(nil, nil)  // want `^io: `
	_, _ = o.Call(ctx, 1)
}

func logs(ctx *durable.Context) {
	fmt.Println()  // want `^log: logs calls fmt.Println: use ctx.Logger\(\)`
	println()      // want `^log: logs calls println`
	log.Print()    // want `^log: `
	log.Fatal()    // want `^io: logs calls log.Fatal: return an error`
	slog.Info("x") // want `^log: `
	ctx.Logger().Info(fmt.Sprint("x"), slog.String("a", "b"))
}

func environment(ctx *durable.Context) {
	_ = os.Getenv("X")   // want `^env: environment calls os.Getenv: pass it in the input`
	_ = os.Args          // want `^env: environment uses os.Args`
	_ = runtime.NumCPU() // want `^env: `
	_ = runtime.GOOS
}

func iterators(ctx *durable.Context, m map[string]int) {
	_ = maps.Keys(m) // want `^maporder: iterators calls maps.Keys: range over slices.Sorted`
}

// An activity may do all of this, as may what stands beside orchestrations.
var act = durable.NewActivity("act", func(ctx context.Context, in int) (int, error) {
	time.Sleep(1)
	go func() {}()
	return rand.Int(), os.WriteFile("x", nil, 0)
}, durable.Reconcile(reconcile))

func reconcile(ctx context.Context, in int) (int, bool, error) { return rand.Int(), true, nil }

var op = durable.Operation("op", func(ctx *durable.EntityContext, s *int, in int) (int, error) {
	*s = int(time.Now().Unix())
	return 0, nil
})

func main() {
	fmt.Println(time.Now(), os.Args)
	select {}
}
