package slack

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	slackapi "github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const docs = "../../../docs/"

// scopes are what Slack's reference names for each method, as far as the Runtime uses it. Direct
// messages are posted to a user's id, which opens the conversation by itself: im:write is not
// needed.
var scopes = map[string][]string{
	"chat.postMessage":    {"chat:write", "chat:write.public"},
	"chat.update":         {"chat:write"},
	"chat.getPermalink":   {},
	"users.info":          {"users:read", "users:read.email"},
	"users.lookupByEmail": {"users:read", "users:read.email"},
	"views.open":          {},
	"views.update":        {},
}

// TestTheManifestAsksForWhatTheCodeUses and for nothing else.
func TestTheManifestAsksForWhatTheCodeUses(t *testing.T) {
	want := []string{"commands"} // Slack calls us
	for _, method := range called(t) {
		needs, known := scopes[method]
		assert.True(t, known, "%s is called; look up which scopes it needs", method)
		want = append(want, needs...)
	}
	slices.Sort(want)
	m := manifest(t)
	assert.Equal(t, slices.Compact(want), m.OAuthConfig.Scopes.Bot)
	assert.Empty(t, m.OAuthConfig.Scopes.User)
	assert.Nil(t, m.Settings.EventSubscriptions)
}

func TestTheManifestFitsTheCode(t *testing.T) {
	m := manifest(t)
	require.Len(t, m.Features.SlashCommands, 1)
	command := m.Features.SlashCommands[0]
	assert.Equal(t, "/sym", command.Command)
	assert.Contains(t, command.Url, "slack_commands_url")
	assert.Contains(t, m.Settings.Interactivity.RequestUrl, "slack_interactions_url")
	assert.True(t, m.Settings.Interactivity.IsEnabled)
	assert.True(t, m.Features.AppHome.MessagesTabEnabled, "else direct messages are refused")
	assert.LessOrEqual(t, len(m.Display.Name), 35)
	assert.LessOrEqual(t, len(m.Display.Description), 140)
	for _, path := range []string{command.Url, m.Settings.Interactivity.RequestUrl} {
		assert.True(t, strings.HasPrefix(path, "https://"), path)
	}
	usage, w := "", newWorld(t)
	for word := range strings.SplitSeq(command.UsageHint, "|") {
		usage = strings.Fields(word)[0]
		assert.NotContains(t, w.command(t, aliceID, usage), "There is no", usage)
	}
	assert.Equal(t, "help", usage)
}

// manifest reads docs/slack-app.yaml. What slack-go does not know is a mistake.
func manifest(t *testing.T) slackapi.Manifest {
	t.Helper()
	file, err := os.Open(docs + "slack-app.yaml")
	require.NoError(t, err)
	defer func() { assert.NoError(t, file.Close()) }()
	decoder := yaml.NewDecoder(file)
	decoder.KnownFields(true)
	var m slackapi.Manifest
	require.NoError(t, decoder.Decode(&m))
	return m
}

// called are the methods of Slack's that the code calls.
func called(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	call := regexp.MustCompile(`\.do\(ctx, "([^"]+)"`)
	var methods []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, found := range call.FindAllStringSubmatch(string(source), -1) {
			methods = append(methods, found[1])
		}
	}
	require.Len(t, methods, len(scopes))
	return methods
}

// TestThePageHasEveryTrouble that the error channel may name.
func TestThePageHasEveryTrouble(t *testing.T) {
	page, err := os.ReadFile(docs + "slack.md")
	require.NoError(t, err)
	for _, code := range []string{"channel_not_found", "not_in_channel", "is_archived",
		"restricted_action", "missing_scope", "no_permission", "invalid_auth", "token_revoked",
		"account_inactive", noMessagesTab, "put slack_bot_token into the shared secret"} {
		assert.Contains(t, string(page), code)
	}
}
