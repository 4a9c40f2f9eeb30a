package process

import (
	"bufio"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestKillEndsTheWholeGroup(t *testing.T) {
	t.Parallel()
	c := exec.Command("sh", "-c", "sleep 1000 & echo $!; wait")
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	p, err := Start(c, syscall.SIGKILL)
	require.NoError(t, err)
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	child, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err)
	p.Kill()
	require.Error(t, p.Wait())
	requireGone(t, child)
}

// TestEndsWithItsParent starts this test again as a parent that is killed.
func TestEndsWithItsParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells a process that its parent is gone")
	}
	if os.Getenv("BE_THE_PARENT") != "" {
		p, err := Start(exec.Command("sleep", "1000"), syscall.SIGKILL)
		require.NoError(t, err)
		_, _ = os.Stdout.WriteString("child " + strconv.Itoa(p.PID()) + "\n")
		_ = p.Wait()
		return
	}
	parent := exec.Command(os.Args[0], "-test.run", "^TestEndsWithItsParent$")
	parent.Env = append(os.Environ(), "BE_THE_PARENT=1")
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	child, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "child ")))
	require.NoError(t, err)
	require.NoError(t, parent.Process.Kill())
	_ = parent.Wait()
	requireGone(t, child)
}

// requireGone waits until a process that was killed is gone, or only its entry
// is left for whoever has to collect it.
func requireGone(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		state, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
		return err != nil || strings.HasPrefix(strings.TrimSpace(string(state)), "Z")
	}, 10*time.Second, 20*time.Millisecond)
}
