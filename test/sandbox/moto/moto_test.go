package moto

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"
)

// TestSecondExecutionRuns is what the patch is for: without it the first execution of a
// machine runs and every later one fails.
func TestSecondExecutionRuns(t *testing.T) {
	server, err := Start(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })

	post(t, server.URL()+"/moto-api/config", "",
		`{"stepfunctions":{"execute_state_machine":true}}`)
	definition := `{"StartAt":"Done","States":{"Done":{"Type":"Pass","End":true}}}`
	call := func(action string, input map[string]string) map[string]any {
		body, _ := json.Marshal(input)
		return post(t, server.URL(), "AWSStepFunctions."+action, string(body))
	}
	machine := call("CreateStateMachine", map[string]string{
		"name": "twice", "definition": definition,
		"roleArn": "arn:aws:iam::123456789012:role/x",
	})["stateMachineArn"].(string)

	for i := range 3 {
		execution := call("StartExecution", map[string]string{
			"stateMachineArn": machine, "name": fmt.Sprint("run-", i), "input": "{}",
		})["executionArn"].(string)
		status := ""
		for range 100 {
			status = call("DescribeExecution", map[string]string{
				"executionArn": execution,
			})["status"].(string)
			if status != "RUNNING" {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		if status != "SUCCEEDED" {
			t.Fatalf("execution %d is %s, want SUCCEEDED", i, status)
		}
	}
}

// TestCloseLeavesNothing checks that the process, its port and its folder are gone.
func TestCloseLeavesNothing(t *testing.T) {
	server, err := Start(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir := server.tempDir
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if conn, err := net.Dial("tcp", server.addr()); err == nil {
		conn.Close()
		t.Error("the port still answers after Close")
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the temporary folder %s is still there", dir)
	}
}

// TestEndsWithItsInput stands for a parent that was killed: nothing but the pipe's end tells.
func TestEndsWithItsInput(t *testing.T) {
	server, err := Start(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	_ = server.stdin.Close()
	select {
	case <-server.Done():
	case <-time.After(time.Minute):
		t.Fatal("moto lives on after its standard input ended")
	}
}

func post(t *testing.T, url, target, body string) map[string]any {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url,
		bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	if target != "" {
		request.Header.Set("X-Amz-Target", target)
		request.Header.Set("Content-Type", "application/x-amz-json-1.0")
		request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+
			"test/20260101/us-east-1/states/aws4_request, SignedHeaders=host, Signature=0")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, _ := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusCreated {
		t.Fatalf("%s %s: %s: %s", url, target, response.Status, content)
	}
	answer := map[string]any{}
	_ = json.Unmarshal(content, &answer)
	return answer
}
