// Package lambdaruntime runs functions from their zip archives as AWS Lambda
// runs them: the archive's bootstrap is a process of its own behind a Lambda
// Runtime API, with Lambda's environment, timeout and memory limit. An instance
// answers one invocation at a time and is kept for the next; as many run as
// there are invocations at once.
//
// See https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html.
package lambdaruntime

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Function is what an instance is made from.
type Function struct {
	ARN string
	// Qualifier is the alias by which it is invoked; empty for none.
	Qualifier string

	Name    string
	Handler string
	// CodeSHA256 names an archive given to [Pool.AddCode], in Lambda's form.
	CodeSHA256 string
	// Revision changes with the function's configuration; instances of another
	// revision are not used any more.
	Revision  string
	Timeout   time.Duration
	MemoryMiB int
	LogGroup  string
	Region    string
	// Environment is the function's own, and what the sandbox adds to it.
	Environment map[string]string
}

// Result is what an invocation came to.
type Result struct {
	Payload []byte
	// Error is empty, or "Unhandled" where the function failed; the payload
	// then is Lambda's error object.
	Error string
}

// Pool runs functions. Close ends every instance.
type Pool struct {
	dir   string
	log   *slog.Logger
	mu    sync.Mutex
	idle  map[string][]*instance
	all   map[*instance]struct{}
	ended bool
	// Logs takes each line that a function writes, where it is set.
	Logs func(function Function, stream, line string)
}

// NewPool makes a pool that keeps code and logs in dir.
func NewPool(dir string, log *slog.Logger) *Pool {
	return &Pool{dir: dir, log: log, idle: map[string][]*instance{}, all: map[*instance]struct{}{}}
}

// AddCode keeps a zip archive and answers its SHA-256 as Lambda writes it.
func (p *Pool) AddCode(archive []byte) (string, error) {
	sum := sha256.Sum256(archive)
	dir := p.codeDir(sum[:])
	if _, err := os.Stat(dir); err == nil {
		return base64.StdEncoding.EncodeToString(sum[:]), nil
	}
	files, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return "", fmt.Errorf("the function's package is not a zip archive: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o750); err != nil {
		return "", err
	}
	partial, err := os.MkdirTemp(filepath.Dir(dir), "partial-*")
	if err != nil {
		return "", err
	}
	for _, file := range files.File {
		if err := extract(file, partial); err != nil {
			return "", errors.Join(fmt.Errorf("the function's package cannot be unpacked: %w", err),
				os.RemoveAll(partial))
		}
	}
	// Two that unpack the same code at once both end here; one of them wins.
	if err := os.Rename(partial, dir); err != nil {
		return base64.StdEncoding.EncodeToString(sum[:]), os.RemoveAll(partial)
	}
	return base64.StdEncoding.EncodeToString(sum[:]), nil
}

func extract(file *zip.File, dir string) error {
	if !filepath.IsLocal(file.Name) {
		return fmt.Errorf("%q would be written outside of its folder", file.Name)
	}
	path := filepath.Join(dir, file.Name) // #nosec G305 -- see above
	if strings.HasSuffix(file.Name, "/") {
		return os.MkdirAll(path, 0o750)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	in, err := file.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, file.Mode()&0o777) // #nosec G304 -- local, see above
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in) // #nosec G110 -- a package that was built here
	return errors.Join(err, out.Close())
}

func (p *Pool) codeDir(sum []byte) string {
	return filepath.Join(p.dir, "code", hex.EncodeToString(sum))
}

// Invoke runs the function once. It returns an error only where the function
// could not be run at all; a function that fails is a [Result] with Error.
func (p *Pool) Invoke(ctx context.Context, f Function, payload []byte) (Result, error) {
	i, err := p.take(f)
	if err != nil {
		return Result{}, err
	}
	arn := f.ARN
	if f.Qualifier != "" {
		arn += ":" + f.Qualifier
	}
	result, reusable := i.invoke(ctx, arn, payload)
	p.put(i, reusable)
	return result, nil
}

func (p *Pool) take(f Function) (*instance, error) {
	key := f.ARN + " " + f.CodeSHA256 + " " + f.Revision
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return nil, errors.New("the sandbox is being stopped")
	}
	for old, instances := range p.idle {
		if strings.HasPrefix(old, f.ARN+" ") && old != key {
			delete(p.idle, old)
			for _, i := range instances {
				delete(p.all, i)
				i.stop()
			}
		}
	}
	for waiting := p.idle[key]; len(waiting) > 0; waiting = p.idle[key] {
		i := waiting[len(waiting)-1]
		p.idle[key] = waiting[:len(waiting)-1]
		if i.alive() {
			return i, nil
		}
		delete(p.all, i)
		i.stop()
	}
	sum, err := base64.StdEncoding.DecodeString(f.CodeSHA256)
	if err != nil {
		return nil, fmt.Errorf("%q is not a hash of code: %w", f.CodeSHA256, err)
	}
	i, err := start(f, key, p.codeDir(sum), p.LogFile(f.Name), p.Logs)
	if err != nil {
		return nil, err
	}
	p.all[i] = struct{}{}
	return i, nil
}

func (p *Pool) put(i *instance, reusable bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if reusable && !p.ended {
		p.idle[i.key] = append(p.idle[i.key], i)
		return
	}
	delete(p.all, i)
	i.stop()
}

// Close ends every instance, also those that are at work.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	for i := range p.all {
		i.stop()
	}
	clear(p.all)
	clear(p.idle)
}

// LogFile is the file that has everything a function has written.
func (p *Pool) LogFile(name string) string { return filepath.Join(p.dir, "logs", name+".log") }
