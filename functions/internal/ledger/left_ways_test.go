package ledger

// way is one way to leave something behind while holding the role.
type way struct {
	name string
	// before is what an administrator has made, holds what the holder does; {alice}, {role}
	// and so on stand for quoted names.
	before, holds string
	// finds are the rows that it leaves, "kind: what"; what begins with a + is taken back.
	finds []string
	// again is what the holder, or somebody else, tries afterwards. It fails if everything was
	// taken back.
	again, as string
	// from and to are the first and the last version that have it.
	from, to int
	// after removes what would keep the database from being dropped.
	after string
}

// ways has one for every part of the search.
var ways = []way{
	{name: "a function with the rights of the role",
		holds: `CREATE FUNCTION peek() RETURNS SETOF orders LANGUAGE sql SECURITY DEFINER
			AS 'SELECT * FROM public.orders'`,
		finds: []string{`+owned: function public.peek() runs with the rights of "{role}"`},
		again: `SELECT * FROM peek()`},
	{name: "a view with the rights of the role, and who may read it", from: 15,
		holds: `CREATE VIEW glimpse AS SELECT * FROM orders; GRANT SELECT ON glimpse TO alice`,
		finds: []string{`+owned: view public.glimpse reads with the rights of "{role}"`,
			`+privilege: SELECT on the table public.glimpse for "{alice}", by "{role}"`},
		again: `SELECT * FROM glimpse`},
	{name: "a view before there was security_invoker", to: 14,
		holds: `CREATE VIEW glimpse AS SELECT * FROM orders; GRANT SELECT ON glimpse TO alice`,
		finds: []string{`owned: view public.glimpse reads with the rights of "{role}"`,
			`+privilege: SELECT on the table public.glimpse for "{alice}", by "{role}"`},
		again: `SELECT * FROM glimpse`},
	{name: "a copy for everybody",
		holds: `CREATE TABLE loot AS SELECT * FROM orders; GRANT SELECT ON loot TO PUBLIC`,
		finds: []string{`owned: table public.loot belongs to "{role}"`,
			`+privilege: SELECT on the table public.loot for everybody, by "{role}"`},
		again: `SELECT * FROM loot`, as: "bob"},
	{name: "a function of the user's own",
		holds: `RESET ROLE; CREATE FUNCTION trap() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
		finds: []string{`owned: function public.trap() belongs to "{alice}"`}},
	{name: "a privilege on what the role owns",
		before: `CREATE TABLE books (page text); ALTER TABLE books OWNER TO {role}`,
		holds:  `GRANT SELECT, INSERT ON books TO alice`,
		finds: []string{
			`+privilege: INSERT, SELECT on the table public.books for "{alice}", by "{role}"`},
		again: `SELECT * FROM books`},
	{name: "a privilege by the right to pass it on",
		before: `CREATE TABLE passed (x text); ALTER TABLE passed OWNER TO {owner};
			GRANT SELECT ON passed TO {role} WITH GRANT OPTION`,
		holds: `GRANT SELECT ON passed TO alice`,
		finds: []string{`+privilege: SELECT on the table public.passed for "{alice}", by "{role}"`},
		again: `SELECT * FROM passed`},
	{name: "the same for everybody, which may be older",
		before: `CREATE TABLE shown (x text); ALTER TABLE shown OWNER TO {owner};
			GRANT SELECT ON shown TO {role} WITH GRANT OPTION`,
		holds: `GRANT SELECT ON shown TO PUBLIC`,
		finds: []string{`privilege: SELECT on the table public.shown for everybody, by "{role}"`}},
	{name: "a privilege that somebody else was made to give",
		before: `CREATE TABLE given (x text); ALTER TABLE given OWNER TO {owner};
			CREATE FUNCTION give() RETURNS void LANGUAGE sql SECURITY DEFINER AS
				'GRANT SELECT ON public.given TO {alice}'; ALTER FUNCTION give() OWNER TO {owner}`,
		holds: `SELECT give()`,
		finds: []string{`privilege: SELECT on the table public.given for "{alice}", by "{owner}"`}},
	{name: "a privilege beside one that the role had passed on before",
		before: `CREATE TABLE beside (x text); ALTER TABLE beside OWNER TO {owner};
			GRANT SELECT ON beside TO {role} WITH GRANT OPTION; SET ROLE {role};
			GRANT SELECT ON beside TO {bob}; RESET ROLE`,
		holds: `GRANT SELECT ON beside TO alice`,
		// Which part of a single row is new cannot be determined.
		finds: []string{`privilege: SELECT on the table public.beside for "{alice}", by "{role}"`,
			`privilege: SELECT on the table public.beside for "{bob}", by "{role}"`}},
	{name: "a privilege on a column of what the role owns",
		before: `CREATE TABLE columns (x text, y text); ALTER TABLE columns OWNER TO {role}`,
		holds:  `GRANT SELECT (y) ON columns TO alice`,
		finds: []string{
			`+privilege: SELECT (y) on the table public.columns for "{alice}", by "{role}"`},
		again: `SELECT y FROM columns`},
	{name: "a privilege on a column, by the right to pass it on",
		before: `CREATE TABLE passing (x text, y text); ALTER TABLE passing OWNER TO {owner};
			GRANT SELECT (y) ON passing TO {role} WITH GRANT OPTION`,
		holds: `GRANT SELECT (y) ON passing TO alice`,
		finds: []string{
			`+privilege: SELECT (y) on the table public.passing for "{alice}", by "{role}"`},
		again: `SELECT y FROM passing`},
	{name: "a sequence",
		before: `CREATE SEQUENCE numbers; ALTER SEQUENCE numbers OWNER TO {role}`,
		holds:  `GRANT USAGE ON SEQUENCE numbers TO alice`,
		finds:  []string{`+privilege: USAGE on the sequence public.numbers for "{alice}", by "{role}"`},
		again:  `SELECT nextval('numbers')`},
	{name: "a schema",
		before: `CREATE SCHEMA closed AUTHORIZATION {role}`,
		holds:  `GRANT CREATE ON SCHEMA closed TO alice`,
		finds:  []string{`+privilege: CREATE on the schema closed for "{alice}", by "{role}"`},
		again:  `CREATE TABLE closed.mine (x int)`},
	{name: "a function that is there",
		before: `CREATE FUNCTION there() RETURNS int LANGUAGE sql AS 'SELECT 1';
			REVOKE ALL ON FUNCTION there() FROM PUBLIC; ALTER FUNCTION there() OWNER TO {role}`,
		holds: `GRANT EXECUTE ON FUNCTION there() TO alice`,
		finds: []string{`+privilege: EXECUTE on the routine public.there() for "{alice}", by "{role}"`,
			`changed: the function public.there() of "{role}", or a privilege on it, was changed`},
		again: `SELECT there()`},
	{name: "a type",
		before: `CREATE TYPE mood AS ENUM ('good'); REVOKE ALL ON TYPE mood FROM PUBLIC;
			ALTER TYPE mood OWNER TO {role}`,
		holds: `GRANT USAGE ON TYPE mood TO alice`,
		finds: []string{`+privilege: USAGE on the type public.mood for "{alice}", by "{role}"`}},
	{name: "the database, by the right to pass it on",
		before: `GRANT CREATE ON DATABASE {database} TO {role} WITH GRANT OPTION`,
		holds:  `GRANT CREATE ON DATABASE {database} TO alice`,
		finds:  []string{`+privilege: CREATE on the database {database} for "{alice}", by "{role}"`},
		again:  `CREATE SCHEMA hers`},
	{name: "a language",
		before: `GRANT USAGE ON LANGUAGE sql TO {role} WITH GRANT OPTION`,
		holds:  `GRANT USAGE ON LANGUAGE sql TO alice`,
		finds:  []string{`?privilege: USAGE on the language sql for "{alice}", by "{role}"`}},
	{name: "a tablespace",
		before: `GRANT CREATE ON TABLESPACE pg_default TO {role} WITH GRANT OPTION`,
		holds:  `GRANT CREATE ON TABLESPACE pg_default TO alice`,
		finds:  []string{`?privilege: CREATE on the tablespace pg_default for "{alice}", by "{role}"`}},
	{name: "a setting of the server", from: 15,
		before: `CREATE FUNCTION log() RETURNS void LANGUAGE sql SECURITY DEFINER AS
			'GRANT SET ON PARAMETER log_statement TO {alice}'`,
		holds: `SELECT "log"()`,
		finds: []string{`privilege: SET on the setting log_statement for "{alice}", by "{super}"`}},
	{name: "a large object",
		holds: `SELECT lo_create(4711); GRANT SELECT ON LARGE OBJECT 4711 TO alice`,
		finds: []string{`owned: large object 4711 belongs to "{role}"`,
			`+privilege: SELECT on the large object 4711 for "{alice}", by "{role}"`},
		again: `SELECT lo_get(4711)`},
	{name: "a foreign server and those who may use it",
		before: `CREATE FOREIGN DATA WRAPPER nowhere; GRANT USAGE ON FOREIGN DATA WRAPPER nowhere
			TO {role} WITH GRANT OPTION; CREATE SERVER old FOREIGN DATA WRAPPER nowhere;
			ALTER SERVER old OWNER TO {role}`,
		holds: `CREATE SERVER away FOREIGN DATA WRAPPER nowhere;
			CREATE USER MAPPING FOR alice SERVER away;
			CREATE USER MAPPING FOR PUBLIC SERVER old;
			GRANT USAGE ON FOREIGN SERVER away TO alice;
			GRANT USAGE ON FOREIGN DATA WRAPPER nowhere TO alice`,
		finds: []string{`owned: server away belongs to "{role}"`,
			`owned: user mapping {alice} on server away belongs to "{alice}"`,
			`attached: the user mapping public on server old, on something of "{role}"`,
			`+privilege: USAGE on the foreign server away for "{alice}", by "{role}"`,
			`?privilege: USAGE on the foreign data wrapper nowhere for "{alice}", by "{role}"`}},
	{name: "a role that the role may hand out",
		before: `CREATE ROLE {reports}; GRANT {reports} TO {role} WITH ADMIN OPTION`,
		holds:  `GRANT {reports} TO alice`,
		finds:  []string{`+membership: "{alice}" was made a member of "{reports}", by "{role}"`},
		again:  `SET ROLE {reports}`},
	{name: "the same for somebody else",
		before: `CREATE ROLE {others}; GRANT {others} TO {role} WITH ADMIN OPTION`,
		holds:  `GRANT {others} TO {bob}`,
		finds:  []string{`+membership: "{bob}" was made a member of "{others}", by "{role}"`},
		again:  `SET ROLE {others}`, as: "bob"},
	{name: "a membership in the user", to: 14,
		holds: `RESET ROLE; GRANT alice TO {bob}`,
		finds: []string{`+membership: "{bob}" was made a member of "{alice}", by "{alice}"`},
		again: `SET ROLE {alice}`, as: "bob"},
	{name: "a membership that somebody else was made to give",
		before: `CREATE ROLE {team}; GRANT {team} TO {owner} WITH ADMIN OPTION;
			CREATE FUNCTION join() RETURNS void LANGUAGE sql SECURITY DEFINER AS
				'GRANT {team} TO {alice}'; ALTER FUNCTION join() OWNER TO {owner}`,
		holds: `SELECT "join"()`,
		finds: []string{`membership: "{alice}" was made a member of "{team}", by "{granter}"`}},
	{name: "a trigger that runs when somebody else writes",
		before: `CREATE TABLE written (x text); ALTER TABLE written OWNER TO {owner};
			GRANT TRIGGER ON written TO {role}`,
		holds: `RESET ROLE; CREATE FUNCTION spring() RETURNS trigger LANGUAGE plpgsql AS
				'BEGIN GRANT SELECT ON public.written TO {alice}; RETURN NEW; END';
			CREATE TRIGGER spring BEFORE INSERT ON written FOR EACH ROW
				EXECUTE FUNCTION spring()`,
		finds: []string{`owned: function public.spring() belongs to "{alice}"`,
			`+trigger: the trigger spring on public.written runs public.spring() of "{alice}"`}},
	{name: "a trigger of an accomplice's function",
		before: `CREATE TABLE shared (x text); ALTER TABLE shared OWNER TO {owner};
			GRANT TRIGGER ON shared TO {role};
			CREATE FUNCTION accomplice() RETURNS trigger LANGUAGE plpgsql AS
				'BEGIN RETURN NEW; END'; ALTER FUNCTION accomplice() OWNER TO {bob}`,
		holds: `CREATE TRIGGER shared BEFORE INSERT ON shared FOR EACH ROW
			EXECUTE FUNCTION accomplice()`,
		finds: []string{
			`trigger: the trigger shared on public.shared runs public.accomplice() of "{bob}"`}},
	{name: "a trigger on what the role owns, of a function of the server's own",
		before: `CREATE TABLE pets (x text); ALTER TABLE pets OWNER TO {role}`,
		holds: `CREATE TRIGGER pets BEFORE UPDATE ON pets FOR EACH ROW
			EXECUTE FUNCTION suppress_redundant_updates_trigger()`,
		finds: []string{`trigger: the trigger pets on public.pets runs ` +
			`pg_catalog.suppress_redundant_updates_trigger() of "{super}"`}},
	{name: "a trigger that somebody else was made to set",
		before: `CREATE TABLE guarded (x text); ALTER TABLE guarded OWNER TO {owner};
			CREATE FUNCTION older() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
			ALTER FUNCTION older() OWNER TO {alice};
			CREATE FUNCTION guard() RETURNS void LANGUAGE sql SECURITY DEFINER AS
				'CREATE TRIGGER guard BEFORE INSERT ON public.guarded FOR EACH ROW
				EXECUTE FUNCTION public.older()'; ALTER FUNCTION guard() OWNER TO {owner}`,
		holds: `SELECT guard()`,
		finds: []string{
			`trigger: the trigger guard on public.guarded runs public.older() of "{alice}"`}},
	{name: "another owner",
		before: `CREATE TABLE moved (x text); ALTER TABLE moved OWNER TO {role}`,
		holds:  `RESET ROLE; ALTER TABLE moved OWNER TO alice`,
		finds:  []string{`owned: table public.moved was given to "{alice}"`}},
	{name: "another owner, which the user is a member of",
		before: `CREATE TABLE lent (x text); ALTER TABLE lent OWNER TO {role};
			CREATE ROLE {club}; GRANT {club} TO {alice}; GRANT CREATE ON SCHEMA public TO {club}`,
		holds: `RESET ROLE; ALTER TABLE lent OWNER TO {club}`,
		finds: []string{`owned: table public.lent was given to "{club}"`}},
	{name: "rules, defaults, constraints and indexes that run a function",
		before: `CREATE TABLE worn (x int); ALTER TABLE worn OWNER TO {role};
			CREATE FUNCTION one(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'`,
		holds: `CREATE RULE quietly AS ON DELETE TO worn DO INSTEAD NOTHING;
			ALTER TABLE worn ALTER COLUMN x SET DEFAULT one(1);
			ALTER TABLE worn ADD CONSTRAINT kept CHECK (one(x) = 1);
			CREATE INDEX worn_one ON worn (one(x)); CREATE INDEX worn_x ON worn (x)`,
		finds: []string{
			`attached: the rule quietly on public.worn, on something of "{role}"`,
			`attached: the default value for public.worn.x, on something of "{role}"`,
			`attached: the table constraint kept on public.worn, on something of "{role}"`,
			`attached: the index public.worn_one, on something of "{role}"`}},
	{name: "policies, and doing without",
		before: `CREATE TABLE rows (x int); ALTER TABLE rows OWNER TO {role};
			ALTER TABLE rows ENABLE ROW LEVEL SECURITY;
			CREATE TABLE bare (x int); ALTER TABLE bare OWNER TO {role};
			CREATE POLICY bare ON bare USING (false); ALTER TABLE bare ENABLE ROW LEVEL SECURITY`,
		holds: `CREATE POLICY hers ON rows TO alice USING (true);
			ALTER TABLE bare DISABLE ROW LEVEL SECURITY`,
		finds: []string{`attached: the policy hers on public.rows, on something of "{role}"`,
			`changed: row-level security is off for the table public.bare, which has policies`}},
	{name: "a policy for the user by somebody else",
		before: `CREATE TABLE veiled (x int); ALTER TABLE veiled OWNER TO {owner};
			CREATE FUNCTION unveil() RETURNS void LANGUAGE sql SECURITY DEFINER AS
				'CREATE POLICY seen ON public.veiled TO {alice} USING (true)';
			ALTER FUNCTION unveil() OWNER TO {owner}`,
		holds: `SELECT unveil()`,
		finds: []string{`attached: the policy seen on public.veiled, for "{alice}"`}},
	{name: "other code in what is there",
		before: `CREATE FUNCTION daily() RETURNS int LANGUAGE sql AS 'SELECT 1';
			ALTER FUNCTION daily() OWNER TO {role}; CREATE VIEW report AS SELECT 1 AS x;
			ALTER VIEW report OWNER TO {role}`,
		holds: `CREATE OR REPLACE FUNCTION daily() RETURNS int LANGUAGE sql AS 'SELECT 2';
			CREATE OR REPLACE VIEW report AS SELECT 2 AS x`,
		finds: []string{
			`changed: the function public.daily() of "{role}", or a privilege on it, was changed`,
			`changed: the view public.report of "{role}", or a privilege on it, was changed`}},
	{name: "a publication", before: `CREATE PUBLICATION older; ALTER PUBLICATION older OWNER TO {role};
			CREATE TABLE news (x int); ALTER TABLE news OWNER TO {role}`,
		holds: `CREATE PUBLICATION newer FOR TABLE news; ALTER PUBLICATION older ADD TABLE news`,
		finds: []string{`owned: publication newer belongs to "{role}"`,
			`attached: the publication relation public.news in publication older, ` +
				`on something of "{role}"`}},
	{name: "a subscription", from: 16, before: `GRANT pg_create_subscription TO {role}`,
		holds: `CREATE SUBSCRIPTION {sub} CONNECTION 'host=127.0.0.1 password=x'
			PUBLICATION p WITH (connect = false)`,
		finds: []string{`owned: subscription {sub} belongs to "{role}"`},
		after: `ALTER SUBSCRIPTION {sub} SET (slot_name = NONE); DROP SUBSCRIPTION {sub}`},
	{name: "a schema, types, operators, casts and an extension",
		holds: `CREATE SCHEMA theirs; CREATE TYPE pair AS (a int, b int);
			CREATE FUNCTION text_of(pair) RETURNS text LANGUAGE sql AS 'SELECT ''x''';
			CREATE CAST (pair AS text) WITH FUNCTION text_of(pair);
			CREATE FUNCTION same(pair, pair) RETURNS boolean LANGUAGE sql AS 'SELECT true';
			CREATE OPERATOR === (LEFTARG = pair, RIGHTARG = pair, FUNCTION = same);
			CREATE EXTENSION citext SCHEMA theirs`,
		finds: []string{`owned: schema theirs belongs to "{role}"`,
			`owned: type public.pair belongs to "{role}"`,
			`owned: function public.text_of(public.pair) belongs to "{role}"`,
			`owned: function public.same(public.pair,public.pair) belongs to "{role}"`,
			`owned: operator public.===(public.pair,public.pair) belongs to "{role}"`,
			`owned: extension citext belongs to "{role}"`}},
	{name: "a cast and a partial index on what is there",
		before: `CREATE TYPE coin AS (a int); ALTER TYPE coin OWNER TO {role};
			CREATE TABLE coins (x int); ALTER TABLE coins OWNER TO {role};
			CREATE DOMAIN dime AS int; ALTER DOMAIN dime OWNER TO {role}`,
		holds: `CREATE FUNCTION spell(coin) RETURNS text LANGUAGE sql AS 'SELECT ''x''';
			CREATE CAST (coin AS text) WITH FUNCTION spell(coin);
			CREATE INDEX rare ON coins (x) WHERE x > 1;
			ALTER DOMAIN dime ADD CONSTRAINT few CHECK (VALUE > 1)`,
		finds: []string{`owned: function public.spell(public.coin) belongs to "{role}"`,
			`attached: the cast (public.coin AS pg_catalog.text), on something of "{role}"`,
			`attached: the index public.rare, on something of "{role}"`,
			`attached: the domain constraint few on public.dime, on something of "{role}"`}},
	{name: "settings",
		holds: `ALTER ROLE {role} SET search_path = theirs;
			RESET ROLE; ALTER ROLE alice IN DATABASE {database} SET work_mem = '1GB'`,
		finds: []string{`setting: settings of "{role}" were changed: search_path`,
			`setting: settings of "{alice}" in the database "{database}" were changed: work_mem`}},
	{name: "a scheduled job", before: fakeCron,
		holds: `INSERT INTO cron.job (command, database, username)
			VALUES ('SELECT 1', 'elsewhere', '{alice}')`,
		finds: []string{`job: the scheduled job 1 of "{alice}" in the database "elsewhere"`}},
	{name: "what will be made",
		holds: `ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO alice;
			ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO alice`,
		finds: []string{`+default_privilege: SELECT on all tables that "{role}" will make ` +
			`in the schema public, for "{alice}"`,
			`+default_privilege: EXECUTE on all routines that "{role}" will make, for "{alice}"`}},
}

// fakeCron is the part of pg_cron that the search reads, without its library.
const fakeCron = `SET allow_system_table_mods = on;
	INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
		VALUES (99999, 'pg_cron', 10, 11, false, '1.6');
	RESET allow_system_table_mods;
	CREATE SCHEMA cron; CREATE TABLE cron.job (jobid serial, command text, database text,
		username text); ALTER EXTENSION pg_cron ADD TABLE cron.job;
	GRANT USAGE ON SCHEMA cron TO PUBLIC; GRANT SELECT, INSERT ON cron.job TO PUBLIC;
	GRANT USAGE ON SEQUENCE cron.job_jobid_seq TO PUBLIC`
