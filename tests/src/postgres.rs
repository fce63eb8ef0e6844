//! PostgreSQL servers that live as long as the test program.
//!
//! ```text
//!   shared() ── one server for the program, a database for each test from a template with the schema in it
//!   Server::start() ── a server of its own, for tests that stop and start it
//! ```
//!
//! PostgreSQL refuses to run as root, so root starts it as the user postgres; anybody else as themselves.
//! Binaries are looked for in `$PG_BIN`, in `PATH` and in `/usr/lib/postgresql/*/bin`; none is a failure.
//!
//! The surprise worth knowing: a small shell stands between. It waits for the end of its standard input, which
//! comes however this program ends, then stops the server at once and removes its directory.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use daysum_core::Lookups;
use daysum_io_postgres::{Database, PostgresConfig, Schema};

/// The schema in every database of [`shared`].
pub const SCHEMA: &str = "org1234567";

/// A cluster in a temporary directory, on a free port of loopback and on a Unix socket.
#[derive(Debug)]
pub struct Server {
    directory: PathBuf,
    port: u16,
    account: Option<(u32, u32)>,
    options: Vec<String>,
    keeper: Option<Child>,
}

/// The server that all tests share, with a template database that has the schema.
pub fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| {
        let server = Server::start();
        server.sql("postgres", "CREATE DATABASE template_daysum");
        let config = server.config("template_daysum");
        // A thread of its own, since a test's runtime may already run on this one.
        let made = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.block_on(async move {
                Database::new(config, Schema::new(SCHEMA).expect("a good name")).init().await
            })
        });
        made.join().expect("no panic").expect("the schema is made");
        server
    })
}

/// A new database of the shared server, with the schema [`SCHEMA`] in it. Gives its name.
pub fn database() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let name = format!("t{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let server = shared();
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    server.sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE template_daysum"));
    name
}

impl Server {
    /// Makes a cluster and starts it.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with further settings, each `name=value`.
    pub fn start_with(settings: &[&str]) -> Self {
        let directory = tempfile::Builder::new().prefix("daysum-pg").tempdir().expect("a directory").keep();
        let account = account();
        if let Some((user, group)) = account {
            chown(&directory, Some(user), Some(group)).expect("root may give directories away");
        }
        let mut server = Self {
            directory,
            port: free_port(),
            account,
            options: settings.iter().map(ToString::to_string).collect(),
            keeper: None,
        };
        let made = server
            .command(&binary("initdb"))
            .args(["-N", "-A", "trust", "-U", "koku", "-E", "UTF8", "--no-instructions", "-D"])
            .arg(server.data())
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        server.resume();
        server
    }

    /// The data directory, for files that the server shall find.
    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Gives a file to the account the server runs as, readable by nobody else.
    pub fn own(&self, path: &Path) {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("permissions");
        if let Some((user, group)) = self.account {
            chown(path, Some(user), Some(group)).expect("root may give files away");
        }
    }

    /// Adds a setting, for the next start.
    pub fn set(&mut self, setting: &str) {
        self.options.push(setting.to_owned());
    }

    /// Starts a stopped server again, on the same port.
    pub fn resume(&mut self) {
        assert!(self.keeper.is_none(), "the server is already running");
        let mut command = self.command(Path::new("/bin/sh"));
        command
            .arg("-c")
            // $1 is the server, $2 the directory; the rest are its options.
            .arg(
                "server=$1; directory=$2; shift 2; \
                 \"$server\" -D \"$directory/data\" \"$@\" >>\"$directory/log\" 2>&1 </dev/null & pid=$!; \
                 read -r word; kill -QUIT $pid 2>/dev/null; wait $pid; \
                 [ \"$word\" = keep ] || rm -rf \"$directory\"",
            )
            .arg("keeper")
            .arg(binary("postgres"))
            .arg(&self.directory)
            .args(["-p", &self.port.to_string(), "-k"])
            .arg(&self.directory);
        for setting in
            ["listen_addresses=127.0.0.1", "fsync=off", "full_page_writes=off", "max_connections=60"]
        {
            command.args(["-c", setting]);
        }
        for setting in &self.options {
            command.args(["-c", setting]);
        }
        let _ = fs::remove_file(self.data().join("postmaster.pid"));
        self.keeper = Some(command.stdin(Stdio::piped()).spawn().expect("the shell starts"));
        self.wait_until_ready();
    }

    /// Stops the server as a power cut would: no shutdown checkpoint, connections cut. The data stays.
    pub fn stop_now(&mut self) {
        use std::io::Write as _;
        let mut keeper = self.keeper.take().expect("the server is running");
        keeper.stdin.take().expect("it was piped").write_all(b"keep\n").expect("the shell listens");
        keeper.wait().expect("the shell ends");
    }

    /// A configuration over TCP.
    pub fn config(&self, database: &str) -> PostgresConfig {
        PostgresConfig::from_url(&self.url(database)).expect("a good address")
    }

    /// The address over TCP.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://koku@127.0.0.1:{}/{database}", self.port)
    }

    /// The address over the Unix socket.
    pub fn socket_url(&self, database: &str) -> String {
        format!("postgres:///{database}?host={}&port={}&user=koku", self.directory.display(), self.port)
    }

    /// Starts pgbouncer before the server: after every transaction a connection is whoever's comes next, and there are
    /// fewer of them than clients.
    pub fn pooler(&self) -> Pooler {
        let port = free_port();
        let (directory, settings) = (self.directory.display(), self.directory.join("pgbouncer.ini"));
        let told = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=koku\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir = {directory}\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = 3\nlogfile = {directory}/pgbouncer.log\n",
            self.port
        );
        // Newer ones carry prepared statements along, unless they are told not to.
        let version =
            Command::new(binary("pgbouncer")).arg("--version").output().expect("pgbouncer runs").stdout;
        let version = String::from_utf8_lossy(&version);
        let minor = version.split(['.', '\n']).nth(1).and_then(|minor| minor.parse::<u32>().ok());
        let statements = if minor.expect("1.x") < 21 { "" } else { "max_prepared_statements = 0\n" };
        fs::write(&settings, told + statements).expect("writable");
        let mut command = self.command(&binary("pgbouncer"));
        let quiet = command.arg("-q").arg(&settings).stdout(Stdio::null()).stderr(Stdio::null());
        let pooler = Pooler { child: quiet.spawn().expect("pgbouncer starts"), port };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = || fs::read_to_string(self.directory.join("pgbouncer.log")).unwrap_or_default();
            assert!(started.elapsed() < Duration::from_secs(20), "pgbouncer did not start: {}", log());
            sleep(Duration::from_millis(10));
        }
        pooler
    }

    /// The port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs SQL through psql and gives what it prints, without headings.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let output = Command::new(binary("psql"))
            .args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database), "-c", sql])
            .output()
            .expect("psql runs");
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Inserts the report period of these lookups, as koku would.
    pub fn add_period(&self, database: &str, lookups: &Lookups) {
        self.sql(
            database,
            &format!(
                "INSERT INTO {SCHEMA}.reporting_ocpusagereportperiod (id, cluster_id, cluster_alias, \
                 report_period_start, report_period_end, provider_id) VALUES ({}, 'c', 'a', \
                 '2025-11-01', '2025-12-01', '{}')",
                lookups.report_period_id.expect("goldens have one"),
                lookups.source_uuid
            ),
        );
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Some((user, group)) = self.account {
            command.uid(user).gid(group);
        }
        // Its own group: an interrupt at the terminal reaches this program, and through it the keeper.
        command.current_dir(&self.directory).process_group(0);
        command
    }

    /// The last word of `postmaster.pid`; a TCP connection alone may still be told to come back later.
    fn wait_until_ready(&self) {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(60) {
            let status = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
            if status.lines().nth(7).is_some_and(|line| line.trim() == "ready") {
                return;
            }
            sleep(Duration::from_millis(10));
        }
        let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        panic!("PostgreSQL did not start: {log}");
    }
}

/// pgbouncer in transaction mode. It ends with the value.
#[derive(Debug)]
pub struct Pooler {
    child: Child,
    port: u16,
}

impl Pooler {
    /// The address of a database behind it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://koku@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        } else {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// The program of PostgreSQL, or around it, of that name.
pub fn binary(name: &str) -> PathBuf {
    let mut places: Vec<PathBuf> = std::env::var_os("PG_BIN").into_iter().map(PathBuf::from).collect();
    if let Some(path) = std::env::var_os("PATH") {
        places.extend(std::env::split_paths(&path));
    }
    let mut installed: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    installed.sort();
    places.extend(installed.into_iter().rev());
    // `psql` in PATH may belong to another version than the server; that is fine.
    places.iter().map(|place| place.join(name)).find(|path| path.is_file()).unwrap_or_else(|| {
        panic!("these tests need PostgreSQL's {name}: install PostgreSQL 15 or newer (apt-get install postgresql) or set PG_BIN")
    })
}

/// Whom root starts the server as; `None` for everybody else.
fn account() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| -> u32 {
        let output = Command::new("id").args(arguments).output().expect("id runs");
        assert!(output.status.success(), "root starts PostgreSQL as the user postgres, and there is none");
        String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number")
    };
    (id(&["-u"]) == 0).then(|| (id(&["-u", "postgres"]), id(&["-g", "postgres"])))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port()
}
