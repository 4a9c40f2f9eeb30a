package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"sym-postgres-quickstart/functions/internal/database"
	postgreslambda "sym-postgres-quickstart/modules/postgres-lambda"
	"sym-postgres-quickstart/test/sandbox/pgserver"
)

const (
	password = "bench"
	maxUsers = 64
)

// testDatabase is a server as RDS would be set up: TLS, and every commit on the disk.
type testDatabase struct {
	*pgserver.Server
	root string
	rows int
}

func startDatabase(
	ctx context.Context, dir string, installation pgserver.Installation,
) (*testDatabase, error) {
	cert, key, err := certify(dir)
	if err != nil {
		return nil, err
	}
	server, err := pgserver.Start(ctx, pgserver.Config{
		Binaries: installation.Binaries, CertFile: cert, KeyFile: key,
		Settings: []string{"fsync = on", "synchronous_commit = on", "full_page_writes = on",
			"shared_buffers = 256MB", "max_connections = 300", "max_wal_size = 4GB"},
	})
	if err != nil {
		return nil, err
	}
	db := &testDatabase{Server: server, root: cert}
	setup, err := database.Script(postgreslambda.Setup,
		map[string]string{"broker": "sym_broker", "roles": "readonly"})
	if err == nil {
		err = db.exec(ctx, "CREATE ROLE readonly")
	}
	if err == nil {
		err = db.exec(ctx, setup)
	}
	for _, user := range users(maxUsers) {
		if err == nil {
			err = db.exec(ctx, "CREATE ROLE "+user+" LOGIN")
		}
	}
	if err == nil {
		// The floor's own user does what the broker does, by the same right.
		err = db.exec(ctx, "ALTER ROLE sym_broker PASSWORD '"+password+"'")
	}
	if err != nil {
		db.stop()
		return nil, err
	}
	return db, nil
}

func (db *testDatabase) stop() { _ = db.Stop() } // It dies with this process.

// users are the database users of so many people.
func users(count int) (names []string) {
	for i := range count {
		names = append(names, fmt.Sprintf("person_%d", i))
	}
	return names
}

func (db *testDatabase) exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, db.URL())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.PgConn().Exec(ctx, sql).ReadAll()
	return err
}

// fill brings the ledger to a number of runs that are over, as after years of use.
func (db *testDatabase) fill(ctx context.Context, rows int) error {
	err := db.exec(ctx, fmt.Sprintf(`
		INSERT INTO sym.grants (run, username, user_oid, rolename, role_oid, requester, reason,
			granted_at, expires_at, revoked_at, sessions_ended_at)
		SELECT 'acme:run:postgres:1.0.0:' || gen_random_uuid(), u.rolname, u.oid, 'readonly',
			'readonly'::regrole, u.rolname || '@example.com', 'Look at order ' || n,
			now() - n * interval '1 minute', now() - n * interval '1 minute',
			now() - n * interval '1 minute', now() - n * interval '1 minute'
		FROM generate_series(%d, %d) n
		JOIN pg_roles u ON u.rolname = 'person_' || n %% %d`, db.rows+1, rows, maxUsers))
	if err == nil {
		err = db.exec(ctx, "VACUUM ANALYZE sym.grants")
	}
	if err == nil {
		err = db.exec(ctx, "CHECKPOINT")
	}
	db.rows = rows
	return err
}

// connect is what a program does that only wants to grant a role: TLS, verified, and a
// password.
func (db *testDatabase) connect(ctx context.Context) (*pgx.Conn, error) {
	u := url.URL{Scheme: "postgres", User: url.UserPassword("sym_broker", password),
		Host: fmt.Sprintf("localhost:%d", db.Port), Path: "/postgres",
		RawQuery: "sslmode=verify-full&sslrootcert=" + url.QueryEscape(db.root)}
	return pgx.Connect(ctx, u.String())
}

// certify makes a certificate for localhost that is its own root.
func certify(dir string) (cert, key string, err error) {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true,
		BasicConstraintsValid: true, Subject: pkix.Name{CommonName: "bench"},
		DNSNames:  []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &signer.PublicKey, signer)
	if err != nil {
		return "", "", err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return "", "", err
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	err = os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
	if err != nil {
		return "", "", err
	}
	return cert, key, os.WriteFile(key,
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600)
}
