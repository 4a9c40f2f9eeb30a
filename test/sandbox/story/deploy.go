package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"sym-postgres-quickstart/test/sandbox"
	"sym-postgres-quickstart/test/sandbox/progress"
	"sym-postgres-quickstart/test/sandbox/slack"
)

// rules make it worth while to ask for the other role by hand: two approve what can write, and
// Alice may break the glass.
const rules = `{
  readwrite = {
    approvals   = 2
    break_glass = { people = ["` + asks + `"], max_duration_seconds = 300 }
  }
}`

// exampleDatabase is what takes longest to apply, and needs no function.
const exampleDatabase = "module.db.aws_rds_cluster_instance.this"

// many packages take longer to compile than Terraform takes to plan twice.
const many = 100

// deploy builds the functions and the client, and applies environments/sandbox. Where there is much
// to compile, the database is applied meanwhile: there Terraform does little but wait.
func deploy(ctx context.Context, n *narrator, box *sandbox.Sandbox, root, client string) (
	d sandbox.Deployment, err error,
) {
	dir, err := box.Workspace(root, "sandbox")
	if err != nil {
		return d, err
	}
	architecture, err := sandbox.Architecture()
	if err != nil {
		return d, err
	}
	work := box.Workdir(dir, map[string]string{
		"package_dir": box.FunctionsDir(), "architecture": architecture,
		"slack_workspace_id": slack.Workspace, "rules": rules,
	})
	n.say("Building the functions for this machine, and terraform apply environments/sandbox.\n" +
		"An Aurora cluster and its instance take a minute, since the AWS provider waits 30\n" +
		"seconds for each, wherever it is.")
	stale, err := sandbox.StaleFunctions(ctx)
	if err != nil {
		return d, err
	}
	early := func(context.Context) error { return nil }
	everything := "everything"
	if stale > many {
		early = func(ctx context.Context) error {
			return apply(ctx, n, work, "the example database", exampleDatabase)
		}
		everything = "everything else"
	}
	err = beside(ctx, func(ctx context.Context) error {
		return build(ctx, n, box, root, client)
	}, func(ctx context.Context) error {
		if err := work.Init(ctx); err != nil {
			return err
		}
		return early(ctx)
	})
	if err == nil {
		err = apply(ctx, n, work, everything)
	}
	if err != nil {
		return d, err
	}
	return work.Deployment(ctx)
}

// beside does two things at once. When one fails the other one is interrupted; the error is that of
// the one that failed by itself.
func beside(ctx context.Context, one, other func(context.Context) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	run := func(do func(context.Context) error) {
		if err := do(ctx); err != nil {
			stop(err)
		}
	}
	var both sync.WaitGroup
	both.Go(func() { run(one) })
	run(other)
	both.Wait()
	return context.Cause(ctx)
}

// build builds the functions and the client.
func build(ctx context.Context, n *narrator, box *sandbox.Sandbox, root, client string) error {
	if err := sandbox.CompileFunctions(ctx, func(far string) { n.progress("%s", far) }); err != nil {
		return err
	}
	began := time.Now()
	if _, _, err := box.Build(ctx, root); err != nil {
		return fmt.Errorf("the functions were not built: %w", err)
	}
	if err := buildClient(ctx, root, client); err != nil {
		return err
	}
	n.say("Built the functions and the client in %.0f s.", time.Since(began).Seconds())
	return nil
}

// apply applies some targets, or everything, and tells how far it is.
func apply(ctx context.Context, n *narrator, work *sandbox.Workdir, name string, targets ...string) error {
	var last time.Time
	var far *progress.Work
	err := work.Apply(ctx, func(p sandbox.Progress) {
		if far == nil {
			far = progress.Begin("apply-"+strings.ReplaceAll(name, " ", "-"), "resources applied", p.Total)
			return
		}
		text := far.Step()
		if n.live || time.Since(last) > 10*time.Second {
			last = time.Now()
			n.progress("%s", text)
		}
	}, targets...)
	if err == nil && far != nil {
		n.say("Applied %s, %d resources, in %.0f s.", name, far.Total(), far.End().Seconds())
	}
	return err
}
