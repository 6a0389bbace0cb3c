package vet

import (
	"go/types"
	"strings"
)

// group is a line of the table: what functions, methods and variables of a package do.
type group struct {
	path string
	// names are those of functions and variables, Type.Method, Type.* for all methods of a
	// type, or * for all of the package. What is named exactly comes before what a star
	// covers.
	names   string
	rule    string // "": they are fine, whatever a star says
	instead string // "": what the rule says
}

// table is what is known of packages whose bodies are not looked into: the standard library,
// where nearly everything ends at a lock or a system call, and modules that exist for what
// orchestrations must not do. What it does not name is taken to be fine, a reader or writer for
// instance: it is what it reads from, which is found where it is opened.
var table = index([]group{
	{path: "time", rule: timeRule, names: "Now Since Until After AfterFunc Tick NewTimer NewTicker Timer.* Ticker.*"},
	{path: "time", rule: sleepRule, names: "Sleep"},
	{path: "time", rule: envRule, names: "Local LoadLocation Time.Local", instead: "use UTC, or a zone that is part of the input"},
	{path: "context", rule: timeRule, names: "WithTimeout WithTimeoutCause WithDeadline WithDeadlineCause", instead: "wait for ctx.Timer and the task with durable.Any"},
	{path: "context", rule: goroutineRule, names: "AfterFunc"},

	{path: "math/rand", rule: randomRule, names: "*"},
	{path: "math/rand", names: "New NewSource NewZipf Rand.* Zipf.* Source.* Source64.*"},
	{path: "math/rand/v2", rule: randomRule, names: "*"},
	{path: "math/rand/v2", names: "New NewPCG NewChaCha8 NewZipf Rand.* PCG.* ChaCha8.* Zipf.* Source.*"},
	{path: "crypto/rand", rule: randomRule, names: "*"},
	{path: "hash/maphash", rule: randomRule, names: "*"},

	{path: "github.com/google/uuid", rule: idRule, names: "New NewString NewRandom NewUUID NewV6 NewV7 NewDCEGroup NewDCEPerson NewDCESecurity GetTime"},
	{path: "github.com/gofrs/uuid", rule: idRule, names: gofrsNames},
	{path: "github.com/gofrs/uuid/v5", rule: idRule, names: gofrsNames},
	{path: "github.com/satori/go.uuid", rule: idRule, names: "NewV1 NewV2 NewV4"},
	{path: "github.com/hashicorp/go-uuid", rule: idRule, names: "GenerateUUID GenerateRandomBytes"},
	{path: "github.com/rs/xid", rule: idRule, names: "New NewWithTime"},
	{path: "github.com/segmentio/ksuid", rule: idRule, names: "New NewRandom NewRandomWithTime"},
	{path: "github.com/oklog/ulid", rule: idRule, names: "Now"},
	{path: "github.com/oklog/ulid/v2", rule: idRule, names: "Now Make DefaultEntropy"},
	{path: "github.com/lithammer/shortuuid/v4", rule: idRule, names: "New NewWithAlphabet NewWithEncoder"},

	{path: "os", rule: ioRule, names: "*"},
	{path: "os", names: "IsExist IsNotExist IsPermission IsTimeout IsPathSeparator NewSyscallError Expand LinkError.* SyscallError.*"},
	{path: "os", rule: ioRule, names: "Exit", instead: "return an error"},
	{path: "os", rule: ioRule, names: "Stdin Stdout Stderr", instead: "read and write in an activity, and log with ctx.Logger()"},
	{path: "os", rule: envRule, names: "Args Getenv LookupEnv Environ ExpandEnv Setenv Unsetenv Clearenv Hostname Executable Getwd TempDir " +
		"Getpid Getppid Getuid Geteuid Getgid Getegid Getgroups Getpagesize UserHomeDir UserCacheDir UserConfigDir"},
	{path: "os/user", rule: envRule, names: "*"},
	{path: "os/exec", rule: ioRule, names: "*"},
	{path: "os/signal", rule: channelRule, names: "*"},
	{path: "flag", rule: envRule, names: "*"},
	{path: "runtime", rule: envRule, names: "NumCPU NumGoroutine NumCgoCall GOMAXPROCS ReadMemStats Version GOROOT"},
	{path: "runtime", rule: goroutineRule, names: "Gosched LockOSThread UnlockOSThread Goexit", instead: "return, or wait for a task"},
	{path: "runtime/debug", rule: envRule, names: "ReadBuildInfo ReadGCStats SetGCPercent SetMemoryLimit SetMaxThreads FreeOSMemory"},
	{path: "syscall", rule: ioRule, names: "*"},
	{path: "syscall", names: "Errno.* Signal.*"},
	{path: "golang.org/x/sys/unix", rule: ioRule, names: "*"},
	{path: "golang.org/x/sys/windows", rule: ioRule, names: "*"},

	{path: "io/ioutil", rule: ioRule, names: "ReadFile WriteFile ReadDir TempFile TempDir"},
	{path: "path/filepath", rule: ioRule, names: "Abs EvalSymlinks Glob Walk WalkDir"},
	{path: "html/template", rule: ioRule, names: "ParseFiles ParseGlob Template.ParseFiles Template.ParseGlob"},
	{path: "text/template", rule: ioRule, names: "ParseFiles ParseGlob Template.ParseFiles Template.ParseGlob"},
	{path: "net", rule: ioRule, names: "Dial DialTimeout DialIP DialTCP DialUDP DialUnix Listen ListenIP ListenMulticastUDP ListenPacket ListenTCP ListenUDP " +
		"ListenUnix ListenUnixgram FileConn FileListener FilePacketConn Interfaces InterfaceAddrs InterfaceByIndex InterfaceByName " +
		"ResolveIPAddr ResolveTCPAddr ResolveUDPAddr Dialer.* ListenConfig.* Resolver.* Conn.* PacketConn.* Listener.* TCPConn.* UDPConn.* UnixConn.* IPConn.* " +
		"TCPListener.* UnixListener.* Interface.Addrs Interface.MulticastAddrs " +
		"LookupAddr LookupCNAME LookupHost LookupIP LookupMX LookupNS LookupPort LookupSRV LookupTXT"},
	{path: "net/http", rule: ioRule, names: "Get Head Post PostForm Client.* DefaultClient DefaultTransport Transport.* RoundTripper.* Server.* " +
		"ListenAndServe ListenAndServeTLS Serve ServeTLS ServeContent ServeFile ServeFileFS ResponseWriter.* ResponseController.*"},
	{path: "net/rpc", rule: ioRule, names: "*"},
	{path: "net/smtp", rule: ioRule, names: "Dial SendMail Client.*"},
	{path: "crypto/tls", rule: ioRule, names: "Dial DialWithDialer Listen LoadX509KeyPair Conn.* Dialer.*"},
	{path: "crypto/x509", rule: ioRule, names: "SystemCertPool"},
	{path: "database/sql", rule: ioRule, names: "Open OpenDB DB.* Conn.* Tx.* Stmt.* Rows.* Row.*"},
	{path: "plugin", rule: ioRule, names: "*"},
	{path: "google.golang.org/grpc", rule: ioRule, names: "Dial DialContext NewClient ClientConn.* ClientConnInterface.* ClientStream.* Server.*"},

	{path: "fmt", rule: logRule, names: "Print Printf Println"},
	{path: "fmt", rule: ioRule, names: "Scan Scanf Scanln"},
	{path: "log", rule: logRule, names: "*"},
	{path: "log", rule: ioRule, names: "Fatal Fatalf Fatalln Logger.Fatal Logger.Fatalf Logger.Fatalln", instead: "return an error"},
	{path: "log/slog", rule: logRule, names: "Debug DebugContext Error ErrorContext Info InfoContext Log LogAttrs Warn WarnContext Default With SetDefault SetLogLoggerLevel"},

	{path: "sync", rule: syncRule, names: "*"},
	{path: "sync", names: "Once.* OnceFunc OnceValue OnceValues Pool.*"}, // they only save work
	{path: "sync/atomic", rule: syncRule, names: "*"},
	{path: "golang.org/x/sync/errgroup", rule: goroutineRule, names: "*"},
	{path: "golang.org/x/sync/semaphore", rule: syncRule, names: "*"},
	{path: "golang.org/x/sync/singleflight", rule: syncRule, names: "*"},

	{path: "reflect", rule: mapOrderRule, names: "Value.MapKeys Value.MapRange"},
	{path: "reflect", rule: selectRule, names: "Select"},
	{path: "reflect", rule: channelRule, names: "Value.Send Value.Recv Value.TrySend Value.TryRecv Value.Close"},
})

const gofrsNames = "NewV1 NewV1AtTime NewV4 NewV6 NewV6AtTime NewV7 NewV7AtTime NewGen Gen.* Generator.*"

func index(groups []group) map[string]group {
	byName := map[string]group{}
	for _, g := range groups {
		for name := range strings.FieldsSeq(g.names) {
			byName[g.path+"."+name] = g
		}
	}
	return byName
}

// known gives what the table says of a function, method or variable; false if that is nothing.
func known(obj types.Object) (group, bool) {
	if obj.Pkg() == nil {
		return group{}, false
	}
	path, typ := obj.Pkg().Path(), receiverName(obj)
	if typ != "" {
		typ += "."
	}
	keys := []string{path + "." + typ + obj.Name()}
	if typ != "" {
		keys = append(keys, path+"."+typ+"*")
	}
	if _, isVar := obj.(*types.Var); !isVar {
		keys = append(keys, path+".*")
	}
	for _, key := range keys {
		if g, ok := table[key]; ok {
			return g, g.rule != ""
		}
	}
	return group{}, false
}

// spokenFor reports whether a function is of a package that the table has, whose bodies then do
// not count: a generator of ids reads random numbers, and its parser does not.
func spokenFor(obj types.Object) bool { return obj.Pkg() == nil || tablePaths[obj.Pkg().Path()] }

var tablePaths = func() map[string]bool {
	paths := map[string]bool{}
	for _, g := range table {
		paths[g.path] = true
	}
	return paths
}()
