package front

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/stretchr/testify/require"

	"sym-postgres-quickstart/test/sandbox/moto"
)

// probe is the package of a function that answers what it sees.
func probe(t *testing.T) []byte {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "bootstrap")
	out, err := exec.Command("go", "build", "-o", binary, "../lambdaruntime/testdata/probe").CombinedOutput()
	require.NoError(t, err, string(out))
	data, err := os.ReadFile(binary)
	require.NoError(t, err)
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate}
	header.SetMode(0o755)
	file, err := w.CreateHeader(header)
	require.NoError(t, err)
	_, err = file.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return packed.Bytes()
}

// TestFunctionStartsAnewWhenItChanges changes the environment of a function that has answered
// already. While the update goes on it answers as before, and afterwards it is another process.
func TestFunctionStartsAnewWhenItChanges(t *testing.T) {
	t.Parallel()
	server, err := moto.Start(t.Context(), moto.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	dir := t.TempDir()
	authority, err := NewAuthority(dir)
	require.NoError(t, err)
	f, err := New(Options{
		Listener: listener, Moto: server.URL(), Dir: dir, Authority: authority,
		Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	var passed atomic.Int64
	began := time.Now()
	f.updates.now = func() time.Time { return began.Add(time.Duration(passed.Load())) }

	config := aws.Config{
		Region: Region, BaseEndpoint: aws.String(f.URL()),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return f.Administrator(Account), nil
		}),
	}
	role, err := iam.NewFromConfig(config).CreateRole(t.Context(), &iam.CreateRoleInput{
		RoleName: aws.String("probe"), AssumeRolePolicyDocument: aws.String(`{"Version": "2012-10-17",
			"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
			"Principal": {"Service": "lambda.amazonaws.com"}}]}`),
	})
	require.NoError(t, err)
	client := lambda.NewFromConfig(config)
	name := aws.String("probe")
	greeting := func(word string) *types.Environment {
		return &types.Environment{Variables: map[string]string{"GREETING": word}}
	}
	_, err = client.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
		FunctionName: name, Role: role.Role.Arn, Handler: aws.String("bootstrap"),
		Runtime: types.RuntimeProvidedal2023, Code: &types.FunctionCode{ZipFile: probe(t)},
		Environment: greeting("hello"), Timeout: aws.Int32(20),
	})
	require.NoError(t, err)
	look := func() (word string, process int) {
		t.Helper()
		out, err := client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: name, Payload: []byte(`{"Do":"look"}`)})
		require.NoError(t, err)
		require.Nil(t, out.FunctionError, string(out.Payload))
		var seen struct {
			Environment map[string]string
			Process     int
		}
		require.NoError(t, json.Unmarshal(out.Payload, &seen), string(out.Payload))
		return seen.Environment["GREETING"], seen.Process
	}
	word, first := look()
	require.Equal(t, "hello", word)

	change := &lambda.UpdateFunctionConfigurationInput{FunctionName: name, Environment: greeting("good-bye")}
	changed, err := client.UpdateFunctionConfiguration(t.Context(), change)
	require.NoError(t, err)
	require.Equal(t, types.LastUpdateStatusInProgress, changed.LastUpdateStatus)
	word, process := look()
	require.Equal(t, "hello", word, "it answers as before while the update goes on")
	require.Equal(t, first, process)
	whole, err := client.GetFunction(t.Context(), &lambda.GetFunctionInput{FunctionName: name})
	require.NoError(t, err)
	require.Equal(t, types.LastUpdateStatusInProgress, whole.Configuration.LastUpdateStatus)

	// Another change has to wait.
	var conflict *types.ResourceConflictException
	_, err = client.UpdateFunctionConfiguration(t.Context(), change)
	require.ErrorAs(t, err, &conflict)
	_, err = client.UpdateFunctionCode(t.Context(), &lambda.UpdateFunctionCodeInput{FunctionName: name, ZipFile: probe(t)})
	require.ErrorAs(t, err, &conflict)
	_, err = client.PublishVersion(t.Context(), &lambda.PublishVersionInput{FunctionName: name})
	require.ErrorAs(t, err, &conflict)

	passed.Store(int64(updateTakes))
	now, err := client.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: name})
	require.NoError(t, err)
	require.Equal(t, types.LastUpdateStatusSuccessful, now.LastUpdateStatus)
	word, process = look()
	require.Equal(t, "good-bye", word)
	require.NotEqual(t, first, process)

	// A refused change is none: what comes next need not wait.
	_, err = client.UpdateFunctionConfiguration(t.Context(), &lambda.UpdateFunctionConfigurationInput{
		FunctionName: aws.String("nobody"),
	})
	var missing *types.ResourceNotFoundException
	require.ErrorAs(t, err, &missing)
	_, again := look()
	require.Equal(t, process, again, "warm, it answers again")
}
