package cli

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"unsafe"

	"golang.org/x/sys/windows"
)

// becomeProgram runs another program in the place of this one, and passes on its
// exit code. The program cannot outlive this one: it is in a job whose last handle
// goes with this process. Ctrl-C reaches both, as they share a console.
func becomeProgram(bin string, args, env []string) error {
	if err := killWithUs(); err != nil {
		return setupf("start %s: %w", bin, err)
	}
	cmd := &exec.Cmd{Path: bin, Args: args, Env: env, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return ended(exit.ExitCode())
	case err != nil:
		return setupf("start %s: %w", bin, err)
	}
	return nil
}

// killWithUs puts this process, and with it those that it starts, into a job that
// ends with it.
func killWithUs() error {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return fmt.Errorf("make a job: %w", err)
	}
	// The handle is never closed: the system does that when this process has ended.
	limit := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{
		BasicLimitInformation: windows.JOBOBJECT_BASIC_LIMIT_INFORMATION{LimitFlags: windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE},
	}
	if _, err := windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limit)), uint32(unsafe.Sizeof(limit))); err != nil {
		return fmt.Errorf("limit the job: %w", err)
	}
	if err := windows.AssignProcessToJobObject(job, windows.CurrentProcess()); err != nil {
		return fmt.Errorf("join the job: %w", err)
	}
	return nil
}
