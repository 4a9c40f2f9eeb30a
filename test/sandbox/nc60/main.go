package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"sym-postgres-quickstart/test/sandbox"
	"sym-postgres-quickstart/test/sandbox/front"
	"sym-postgres-quickstart/test/sandbox/slack"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	ctx := context.Background()
	root, _ := os.Getwd()
	box, err := sandbox.Start(ctx)
	must(err)
	defer box.Close()
	packages, architecture, err := box.Build(ctx, root)
	must(err)
	dir, err := box.Workspace(root, "sandbox")
	must(err)
	work := box.Workdir(dir, map[string]string{"package_dir": packages, "architecture": architecture, "slack_workspace_id": slack.Workspace})
	must(work.Apply(ctx, func(sandbox.Progress) {}))
	d, err := work.Deployment(ctx)
	must(err)
	must(box.InstallSlackApp(ctx, d))
	alice, err := box.Person(ctx, d, "alice@example.com")
	must(err)
	type inv struct {
		kind string
		d    time.Duration
	}
	var mu sync.Mutex
	var all []inv
	stop := box.Subscribe(func(e any) {
		i, ok := e.(front.Invocation)
		if !ok {
			return
		}
		var p map[string]json.RawMessage
		_ = json.Unmarshal(i.Payload, &p)
		kind := strings.Join([]string{i.FunctionARN[strings.LastIndex(i.FunctionARN, ":")+1:], string(p["step"]), string(p["type"]), string(p["rawPath"])}, " ")
		if len(kind) > 60 {
			kind = kind[:60]
		}
		mu.Lock()
		all = append(all, inv{kind, i.Duration})
		mu.Unlock()
	})
	defer stop()
	cpu := func() time.Duration {
		var s, c syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &s)
		_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &c)
		return time.Duration(s.Utime.Nano() + s.Stime.Nano() + c.Utime.Nano() + c.Stime.Nano())
	}
	for wave := range 3 {
		mu.Lock()
		all = nil
		mu.Unlock()
		n := 60
		took := make([]time.Duration, n)
		errs := make([]error, n)
		var wg sync.WaitGroup
		began := time.Now()
		c0 := cpu()
		for i := range n {
			wg.Go(func() {
				b := time.Now()
				_, errs[i] = alice.Call(ctx, "POST", "/requests", []byte(`{"flow":"postgres","target":"readonly","reason":"x"}`))
				took[i] = time.Since(b)
			})
		}
		wg.Wait()
		slices.Sort(took)
		fmt.Printf("wave %d: all %.1fs; min %.1f median %.1f p90 %.1f max %.1f\n", wave, time.Since(began).Seconds(), took[0].Seconds(), took[n/2].Seconds(), took[n*9/10].Seconds(), took[n-1].Seconds())
		bad := map[string]int{}
		for _, e := range errs {
			if e != nil {
				bad[e.Error()]++
			}
		}
		fmt.Println("errors", bad, "cpu self+ended", cpu()-c0)
		time.Sleep(3 * time.Second)
		mu.Lock()
		sum := map[string][]time.Duration{}
		for _, i := range all {
			sum[i.kind] = append(sum[i.kind], i.d)
		}
		mu.Unlock()
		for k, v := range sum {
			slices.Sort(v)
			fmt.Printf("   %-62s n=%d median %.2f max %.2f\n", k, len(v), v[len(v)/2].Seconds(), v[len(v)-1].Seconds())
		}
		out, _ := os.ReadFile("/proc/loadavg")
		fmt.Print("load ", string(out))
		time.Sleep(20 * time.Second)
	}
	logs := box.Dir + "/logs"
	_ = os.CopyFS("/tmp/nc60logs", os.DirFS(logs))
}
