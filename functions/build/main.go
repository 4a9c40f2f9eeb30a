// Command build compiles the functions and packs each into a zip archive for
// AWS Lambda: a binary called bootstrap and nothing else. The same source gives
// the same archive, byte for byte.
//
//	go run ./functions/build -arch arm64 -out functions/dist
//
// With -here it builds for this machine and for trying things on it alone: it takes the packages
// that `go test` has compiled, and two machines need not come to the same archive.
package main

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// functions are the main packages that become archives.
var functions = []string{"postgres", "runtime", "seed"}

// epoch stands in every archive as the time of its file; zip knows no earlier.
var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

func main() {
	arch := flag.String("arch", "arm64", "processor to build for: arm64 or amd64")
	system := flag.String("os", "linux", "operating system to build for; Lambda's is linux")
	out := flag.String("out", filepath.Join("functions", "dist"), "folder for the archives")
	here := flag.Bool("here", false, "build quickly, for this machine alone")
	flag.Parse()
	if *here {
		*system, *arch = runtime.GOOS, runtime.GOARCH
	}
	if *arch != "arm64" && *arch != "amd64" && !*here {
		fmt.Fprintf(os.Stderr, "The functions were not built: %q is not a processor of Lambda's. It is "+
			"arm64, or amd64, which Terraform calls x86_64 (architecture = \"x86_64\").\n", *arch)
		os.Exit(1)
	}
	fmt.Printf("Building %d functions for %s/%s. The first time takes some minutes.\n", len(functions),
		*system, *arch)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *arch, *system, *out, *here); err != nil {
		fmt.Fprintln(os.Stderr, "The functions were not built:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arch, system, out string, here bool) error {
	// #nosec G301 -- packages hold no secret
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "build-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	for i, name := range functions {
		began := time.Now()
		binary := filepath.Join(scratch, name)
		if err := compile(ctx, name, arch, system, binary, here); err != nil {
			return err
		}
		archive := filepath.Join(out, name+".zip")
		size, err := pack(binary, archive)
		if err != nil {
			return fmt.Errorf("%s cannot be packed: %w", name, err)
		}
		fmt.Printf("%d/%d  %s  %s/%s  %.1f MB  %.1f s\n", i+1, len(functions), archive,
			system, arch, float64(size)/1e6, time.Since(began).Seconds())
	}
	return nil
}

// compile builds without what differs between two machines: paths, version
// control, symbols, C. For this machine alone it leaves paths and C in, since every package would
// have to be compiled anew without them.
func compile(ctx context.Context, name, arch, system, binary string, here bool) error {
	arguments := []string{"build", "-buildvcs=false", "-tags", "lambda.norpc",
		"-ldflags", "-s -w -buildid=", "-o", binary, "./functions/" + name}
	environment := os.Environ()
	if !here {
		arguments = slices.Insert(arguments, 1, "-trimpath")
		environment = append(environment, "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+arch)
	}
	c := exec.CommandContext(ctx, "go", arguments...) // #nosec G204 -- the arguments are ours
	c.Env = environment
	c.Stderr = os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("functions/%s does not compile: %w", name, err)
	}
	return nil
}

// pack writes the archive whole or not at all, so that nothing ever deploys
// half of one. It answers the archive's size.
func pack(binary, archive string) (int, error) {
	data, err := os.ReadFile(binary) // #nosec G304 -- what was built just now
	if err != nil {
		return 0, err
	}
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate, Modified: epoch}
	header.SetMode(0o755)
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	file, err := w.CreateHeader(header)
	if err == nil {
		_, err = file.Write(data)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return 0, err
	}
	partial := archive + ".partial"
	// #nosec G306 -- a package holds no secret
	if err := os.WriteFile(partial, packed.Bytes(), 0o644); err != nil {
		return 0, err
	}
	return packed.Len(), os.Rename(partial, archive)
}
