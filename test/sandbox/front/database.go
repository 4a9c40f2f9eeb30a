package front

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"sym-postgres-quickstart/test/sandbox/pgserver"
)

// administrator is the superuser of a database's server. As on RDS nobody else
// has its password, and the master user is none.
const administrator = "rdsadmin"

// databases stands in for RDS: a PostgreSQL server of its own for each cluster,
// and for each instance that is in none.
type databases struct {
	front   *Front
	mu      sync.Mutex
	running map[string]*pgserver.Server
}

func newDatabases(f *Front) *databases {
	return &databases{front: f, running: map[string]*pgserver.Server{}}
}

// serve answers RDS's API: moto keeps the state, and the endpoints in its
// answers are those of the servers that run here.
func (d *databases) serve(w http.ResponseWriter, r *http.Request, c call) {
	form, err := url.ParseQuery(string(c.body))
	if err != nil {
		c.fail(w, http.StatusBadRequest, "MalformedQueryString", "the body is not a query string")
		return
	}
	answer, err := d.front.forwardAndRead(r, c)
	if err != nil {
		c.fail(w, http.StatusBadGateway, "ServiceUnavailable", err.Error())
		return
	}
	if answer.ok() {
		if err := d.follow(r.Context(), c, form, answer.body); err != nil {
			d.front.Log.Error("database", "action", c.action, "error", err)
			c.fail(w, http.StatusBadRequest, "InvalidParameterValue", err.Error())
			return
		}
		answer.body = d.rewrite(c.caller.Account, answer.body)
	}
	answer.send(w)
}

// follow starts and stops servers as databases come and go.
func (d *databases) follow(ctx context.Context, c call, form url.Values, answered []byte) error {
	cluster, instance := form.Get("DBClusterIdentifier"), form.Get("DBInstanceIdentifier")
	switch c.action {
	case "CreateDBCluster":
		return d.create(ctx, c.caller.Account, cluster, form, form.Get("DatabaseName"), answered)
	case "CreateDBInstance":
		if cluster != "" {
			return nil // The cluster's server is the instance's.
		}
		return d.create(ctx, c.caller.Account, instance, form, form.Get("DBName"), answered)
	case "DeleteDBCluster":
		return d.delete(c.caller.Account, cluster)
	case "DeleteDBInstance":
		return d.delete(c.caller.Account, instance)
	}
	return nil
}

var secretARN = regexp.MustCompile(`<SecretArn>([^<]+)</SecretArn>`)

// create starts a server and makes it what RDS gives: a master user who is no
// superuser, RDS's roles, TLS for everybody, and IAM tokens for rds_iam.
func (d *databases) create(ctx context.Context, account, id string, form url.Values, name string, answered []byte) error {
	if engine := form.Get("Engine"); engine != "postgres" && engine != "aurora-postgresql" {
		return fmt.Errorf("the sandbox has no database engine %q, only PostgreSQL", engine)
	}
	password := form.Get("MasterUserPassword")
	if form.Get("ManageMasterUserPassword") == "true" {
		password = randomHex(16)
		match := secretARN.FindSubmatch(answered)
		if match == nil {
			return errors.New("the master user's secret is not in moto's answer")
		}
		login, err := json.Marshal(map[string]string{
			"username": form.Get("MasterUsername"), "password": password,
		})
		if err != nil {
			return err
		}
		// RDS writes the password that it made into a secret that it owns.
		err = d.front.askJSON(ctx, account, "secretsmanager", http.MethodPost, "/", "secretsmanager.PutSecretValue",
			map[string]string{
				"SecretId": string(match[1]), "SecretString": string(login),
				"ClientRequestToken": randomHex(16),
			}, nil)
		if err != nil {
			return err
		}
	}
	if name == "" {
		name = "postgres"
	}
	program, err := binaries(form.Get("EngineVersion"))
	if err != nil {
		return err
	}
	dir := filepath.Join(d.front.Dir, "databases", account, id)
	certificate, key, err := d.front.Authority.Issue(filepath.Join(d.front.Dir, "certificates", account, id))
	if err != nil {
		return err
	}
	// The server runs as another user where we are root, who has to get here.
	// #nosec G301 -- as the comment says
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	server, err := pgserver.Start(ctx, pgserver.Config{
		Binaries: program, Dir: dir,
		Superuser: administrator, CertFile: certificate, KeyFile: key,
		HBA: []string{
			"hostnossl all all all reject",
			"hostssl all " + administrator + "," + form.Get("MasterUsername") + " all scram-sha-256",
			"hostssl all +rds_iam all " + d.front.logins.HBA(),
		},
	})
	if err != nil {
		return err
	}
	if err := provision(ctx, server, name, form.Get("MasterUsername"), password); err != nil {
		return errors.Join(err, server.Stop())
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running[account+"/"+id] = server
	return nil
}

// binaries answers the folder of the server that comes closest to the wanted
// version: the same major version, else the newest on this machine. Only servers
// that can check a password with LDAP will do, see [iamlogin].
func binaries(engineVersion string) (string, error) {
	major, _, _ := strings.Cut(engineVersion, ".")
	best := ""
	for _, installed := range pgserver.Installed() {
		program, err := os.ReadFile(filepath.Join(installed.Binaries, "postgres"))
		if err != nil || !bytes.Contains(program, []byte("ldap_simple_bind")) {
			continue
		}
		if strconv.Itoa(installed.Major) == major {
			return installed.Binaries, nil
		}
		if best == "" {
			best = installed.Binaries
		}
	}
	if best == "" {
		return "", errors.New("no PostgreSQL server built with LDAP is on this machine: install one " +
			"(Debian: apt-get install postgresql; macOS: brew install postgresql@17)")
	}
	return best, nil
}

// provision makes the roles that a fresh database of RDS has.
// See https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Appendix.PostgreSQL.CommonDBATasks.Roles.html.
func provision(ctx context.Context, server *pgserver.Server, database, master, password string) error {
	conn, err := pgx.Connect(ctx, server.URL())
	if err != nil {
		return fmt.Errorf("the new database does not let its administrator in: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	user := pgx.Identifier{master}.Sanitize()
	statements := []string{
		"CREATE ROLE rds_superuser NOLOGIN",
		"CREATE ROLE rds_iam NOLOGIN",
		"GRANT pg_monitor, pg_signal_backend TO rds_superuser WITH ADMIN OPTION",
		"CREATE ROLE " + user + " LOGIN CREATEROLE CREATEDB PASSWORD " + literal(password),
		"GRANT rds_superuser TO " + user,
		"GRANT rds_iam TO " + user + " WITH ADMIN OPTION",
	}
	if database != "postgres" {
		statements = append(statements,
			"CREATE DATABASE "+pgx.Identifier{database}.Sanitize()+" OWNER "+user)
	}
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("the new database cannot be provisioned: %w", err)
		}
	}
	return nil
}

func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

func (d *databases) delete(account, id string) error {
	d.mu.Lock()
	server := d.running[account+"/"+id]
	delete(d.running, account+"/"+id)
	d.mu.Unlock()
	if server == nil {
		return nil
	}
	return server.Stop()
}

func (d *databases) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for id, server := range d.running {
		errs = append(errs, server.Stop())
		delete(d.running, id)
	}
	return errors.Join(errs...)
}

// Databases is how many database servers run.
func (f *Front) Databases() int {
	f.databases.mu.Lock()
	defer f.databases.mu.Unlock()
	return len(f.databases.running)
}

// listensOn answers whether a database of the sandbox is at an address.
func (d *databases) listensOn(address string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, server := range d.running {
		if server.Address() == address {
			return true
		}
	}
	return false
}

var (
	databaseElement = regexp.MustCompile(`(?s)<DBCluster>.*?</DBCluster>|<DBInstance>.*?</DBInstance>`)
	clusterID       = regexp.MustCompile(`<DBClusterIdentifier>([^<]+)</DBClusterIdentifier>`)
	instanceID      = regexp.MustCompile(`<DBInstanceIdentifier>([^<]+)</DBInstanceIdentifier>`)
	hostElement     = regexp.MustCompile(`<(Endpoint|ReaderEndpoint|Address)>[^<]+</`)
	portElement     = regexp.MustCompile(`<Port>\d+</Port>`)
	// moto shows this, and empty, for every Aurora cluster; AWS only for
	// serverless v1.
	scalingElement = regexp.MustCompile(`<ScalingConfigurationInfo/>`)
)

// rewrite puts the addresses of the running servers into an answer.
func (d *databases) rewrite(account string, body []byte) []byte {
	body = scalingElement.ReplaceAll(body, nil)
	return databaseElement.ReplaceAllFunc(body, func(element []byte) []byte {
		match := clusterID.FindSubmatch(element)
		if match == nil {
			match = instanceID.FindSubmatch(element)
		}
		if match == nil {
			return element
		}
		d.mu.Lock()
		server := d.running[account+"/"+string(match[1])]
		d.mu.Unlock()
		if server == nil {
			return element
		}
		element = hostElement.ReplaceAll(element, []byte("<${1}>127.0.0.1</"))
		return portElement.ReplaceAll(element, fmt.Appendf(nil, "<Port>%d</Port>", server.Port))
	})
}
