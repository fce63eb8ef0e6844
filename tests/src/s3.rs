//! A real S3 server in this process (s3s-fs over a directory), and faults between it and its clients.
//!
//! ```text
//! object_store ── HTTP ──> accept loop ──> Faults (the next planned one, for GETs or for listings) ──> s3s-fs
//! ```

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use daysum_io_s3::{Missing, Place, StoreSettings};
use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use object_store::{Attribute, AttributeValue, Attributes, ObjectStoreExt, PutOptions};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::engine::InputFile;

/// The bucket that every server has.
pub const BUCKET: &str = "daysum";

/// An access key that must not be seen anywhere.
pub const KEY: &str = "canary-key-8a90d2";
/// Its secret, which must not either.
pub const SECRET: &str = "canary-4f3b1c";

/// What happens to one answer: to a GET of an object, or to a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 503, as S3 throttles.
    SlowDown,
    /// 429, as others do.
    TooMany,
    /// 500.
    Internal,
    /// 403.
    Forbidden,
    /// Half of the body, then the connection ends.
    Truncated,
    /// No answer for longer than clients wait.
    Stalled,
    /// Half of the body, and then nothing for longer than clients wait.
    StalledBody,
    /// A header that says that these are other bytes than were asked for.
    WrongRange,
    /// The whole object, as by a server that knows no ranges.
    NoRange,
    /// The whole object, and a header that says so.
    WiderRange,
}

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// The server. It ends with the value.
#[derive(Debug)]
pub struct S3Server {
    port: u16,
    state: Arc<State>,
    root: TempDir,
    runtime: Runtime,
}

#[derive(Debug, Default)]
struct State {
    faults: Mutex<VecDeque<Option<Fault>>>,
    faults_of_lists: Mutex<VecDeque<Option<Fault>>>,
    sent: Mutex<Sent>,
    changes: Mutex<Vec<Change>>,
    root: PathBuf,
}

/// Something that happens to an object right before one of its GETs is answered.
#[derive(Debug)]
struct Change {
    key: String,
    /// GETs of it that pass before.
    passing: u32,
    /// What it becomes; nothing removes it.
    content: Option<Vec<u8>>,
}

/// What was answered.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sent {
    /// GETs of objects.
    pub requests: u64,
    /// Bytes of their bodies, as their length was told.
    pub bytes: u64,
    /// Listings, each of one page.
    pub lists: u64,
    /// Objects in them.
    pub listed: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn change(&self, path: &str) {
        let mut changes = lock(&self.changes);
        let Some(next) = changes.iter().position(|change| change.key == path) else { return };
        if changes[next].passing > 0 {
            changes[next].passing -= 1;
            return;
        }
        let file = self.root.join(path.trim_start_matches('/'));
        match changes.remove(next).content {
            Some(content) => std::fs::write(file, content).expect("objects are files"),
            None => std::fs::remove_file(file).expect("the object is there"),
        }
    }
}

impl S3Server {
    /// Starts a server with one empty bucket.
    pub fn start() -> Self {
        let root = TempDir::new().expect("a directory for objects");
        std::fs::create_dir(root.path().join(BUCKET)).expect("a bucket is a directory");
        let files = s3s_fs::FileSystem::new(root.path()).expect("s3s-fs takes any directory");
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = builder.build();
        let runtime = Runtime::new().expect("a runtime for the server");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let state = Arc::new(State { root: root.path().to_owned(), ..State::default() });
        runtime.spawn(serve(listener, service, state.clone()));
        Self { port, state, root, runtime }
    }

    /// The server's address.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How its clients reach it; requests wait one second and are tried again for some.
    pub fn settings(&self) -> StoreSettings {
        StoreSettings {
            endpoint: Some(self.endpoint()),
            access_key: Some(KEY.to_owned()),
            secret_key: Some(SECRET.to_owned()),
            timeout: Some(Duration::from_secs(1)),
            retry_timeout: Some(Duration::from_secs(20)),
            ..StoreSettings::default()
        }
    }

    /// The variables that tell a command the same.
    pub fn variables(&self) -> [(&'static str, String); 3] {
        [
            ("S3_ENDPOINT", self.endpoint()),
            ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
        ]
    }

    /// Everything below a prefix of the bucket.
    pub fn place(&self, prefix: &str) -> Place {
        Place::open(&format!("s3://{BUCKET}/{prefix}"), &self.settings(), Missing::Refuse)
            .expect("a good address")
    }

    /// Puts files below a prefix, through S3.
    pub fn upload(&self, prefix: &str, files: &[InputFile]) {
        upload(&self.runtime, &self.place(prefix), files);
    }

    /// Puts one object below a prefix, with user metadata.
    pub fn upload_with(&self, prefix: &str, file: &InputFile, metadata: &[(&'static str, &str)]) {
        let place = self.place(prefix);
        let path = object_store::path::Path::parse(format!("{}/{}", place.prefix, file.key));
        let path = path.expect("keys of tests are sound");
        let attributes: Attributes = metadata
            .iter()
            .map(|(name, value)| {
                (Attribute::Metadata((*name).into()), AttributeValue::from((*value).to_owned()))
            })
            .collect();
        let put = place.store.put_opts(&path, file.bytes.clone().into(), PutOptions::from(attributes));
        self.runtime.block_on(put).expect("the server takes objects");
    }

    /// Puts files into the bucket's directory: s3s-fs names its own files by the whole key, which a long key
    /// makes longer than file names may be.
    pub fn place_files(&self, prefix: &str, files: &[InputFile]) {
        for file in files {
            let path = self.root.path().join(BUCKET).join(prefix).join(&file.key);
            std::fs::create_dir_all(path.parent().expect("a bucket")).expect("directories can be made");
            std::fs::write(path, &file.bytes).expect("objects are files");
        }
    }

    /// Faults for the next GETs of objects, in order; `None` lets one pass.
    pub fn plan(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        *lock(&self.state.faults) = faults.into_iter().collect();
    }

    /// Faults for the next listings, in order.
    pub fn plan_lists(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        *lock(&self.state.faults_of_lists) = faults.into_iter().collect();
    }

    /// Replaces an object, or removes it, right before a GET of it is answered; `passing` GETs of it come first.
    pub fn change(&self, key: &str, passing: u32, content: Option<Vec<u8>>) {
        let key = format!("/{BUCKET}/{key}");
        lock(&self.state.changes).push(Change { key, passing, content });
    }

    /// Faults that nobody has met yet.
    pub fn planned(&self) -> usize {
        let state = &self.state;
        [&state.faults, &state.faults_of_lists]
            .map(|faults| lock(faults).iter().flatten().count())
            .iter()
            .sum()
    }

    /// What was sent since this was last asked.
    pub fn take_sent(&self) -> Sent {
        std::mem::take(&mut lock(&self.state.sent))
    }
}

/// Puts files into any store.
pub fn upload(runtime: &Runtime, place: &Place, files: &[InputFile]) {
    runtime.block_on(async {
        for file in files {
            let path = object_store::path::Path::parse(format!("{}/{}", place.prefix, file.key));
            let path = path.expect("keys of tests are sound");
            place.store.put(&path, file.bytes.clone().into()).await.expect("the server takes objects");
        }
    });
}

async fn serve(listener: TcpListener, service: S3Service, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        // Without it every answer waits 40 ms for Nagle and delayed acknowledgements.
        stream.set_nodelay(true).expect("TCP has the option");
        let (service, state) = (service.clone(), state.clone());
        tokio::spawn(async move {
            let answer = service_fn(move |request| answer(request, service.clone(), state.clone()));
            // A client that goes away, or a planned fault, ends its own connection only.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    service: S3Service,
    state: Arc<State>,
) -> Result<Response<Body>, Infallible> {
    let is_list = request.uri().query().is_some_and(|query| query.contains("list-type"));
    let is_object = request.method() == Method::GET && !is_list;
    let path = request.uri().path().replace("%3D", "=");
    let fault = match (is_object, is_list) {
        (true, _) => lock(&state.faults).pop_front().flatten(),
        (_, true) => lock(&state.faults_of_lists).pop_front().flatten(),
        _ => None,
    };
    if is_object {
        state.change(&path);
    }
    match fault {
        Some(Fault::SlowDown) => return Ok(refusal(StatusCode::SERVICE_UNAVAILABLE, "SlowDown")),
        Some(Fault::TooMany) => return Ok(refusal(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests")),
        Some(Fault::Internal) => return Ok(refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError")),
        Some(Fault::Forbidden) => return Ok(refusal(StatusCode::FORBIDDEN, "AccessDenied")),
        Some(Fault::Stalled) => tokio::time::sleep(Duration::from_secs(3)).await,
        _ => {}
    }
    let Ok(response) = service.call(request.map(s3s::Body::from)).await else {
        return Ok(refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"));
    };
    let (mut head, body) = response.into_parts();
    let Ok(whole) = body.collect().await else {
        return Ok(refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"));
    };
    let whole = whole.to_bytes();
    if is_object && head.status.is_success() {
        let mut sent = lock(&state.sent);
        sent.requests += 1;
        sent.bytes += whole.len() as u64;
    }
    if is_list {
        let mut sent = lock(&state.sent);
        sent.lists += 1;
        sent.listed += whole.windows(5).filter(|bytes| bytes == b"<Key>").count() as u64;
    }
    let body = match fault {
        Some(Fault::Truncated) => {
            let half = whole.slice(..whole.len() / 2);
            head.headers.insert("content-length", whole.len().into());
            let cut = std::io::Error::other("planned");
            StreamBody::new(stream::iter([Ok(Frame::data(half)), Err(cut)])).boxed_unsync()
        }
        Some(Fault::StalledBody) => {
            let (half, rest) = (whole.slice(..whole.len() / 2), whole.slice(whole.len() / 2..));
            let rest = async move {
                tokio::time::sleep(Duration::from_secs(3)).await;
                Ok(Frame::data(rest))
            };
            let half = stream::once(async { Ok(Frame::data(half)) });
            head.headers.insert("content-length", whole.len().into());
            StreamBody::new(stream::select(half, stream::once(rest))).boxed_unsync()
        }
        Some(Fault::NoRange | Fault::WiderRange) => {
            let object = std::fs::read(state.root.join(path.trim_start_matches('/'))).expect("it was found");
            head.headers.insert("content-length", object.len().into());
            head.headers.remove("content-range");
            head.status = StatusCode::OK;
            if fault == Some(Fault::WiderRange) {
                let told = format!("bytes 0-{}/{}", object.len() - 1, object.len());
                head.headers.insert("content-range", told.parse().expect("a header"));
                head.status = StatusCode::PARTIAL_CONTENT;
            }
            full(object.into())
        }
        Some(Fault::WrongRange) => {
            let told = format!("bytes 1-{}/{}", whole.len(), whole.len() + 1);
            head.headers.insert("content-range", told.parse().expect("a header"));
            full(whole)
        }
        _ => full(whole),
    };
    Ok(Response::from_parts(head, body))
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

fn refusal(status: StatusCode, code: &str) -> Response<Body> {
    let xml = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>planned</Message></Error>");
    let mut response = Response::new(full(xml.into()));
    *response.status_mut() = status;
    response
}
