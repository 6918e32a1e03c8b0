//! A real registry (`scripts/registry`), and what stands before it and answers for it when a test wants that.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// How the registry does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It answers.
    Well,
    /// It closes every connection.
    Down,
    /// It takes requests and says nothing for so long; then it answers.
    Slow(Duration),
    /// It answers what no registry answers.
    Nonsense,
}

/// What a registry never answers: a page of somebody else's, an answer without what was asked for, half an answer,
/// a page for what is not there, no HTTP at all.
const NONSENSE: [&str; 5] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n<html>hi</html>",
    "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{\"schema\":[7]}",
    "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"schema\":\"",
    "HTTP/1.1 404 Not Found\r\nContent-Length: 17\r\n\r\n<h1>No page.</h1>",
    "SSH-2.0-OpenSSH_9.2\r\n",
];

struct Shared {
    mood: Mutex<Mood>,
    /// Requests that were not answered well.
    hurt: AtomicUsize,
    registry: u16,
}

/// A registry that holds nothing yet, behind something that can be in a mood.
pub(crate) struct MoodyRegistry {
    shared: Arc<Shared>,
    own: u16,
    folder: TempDir,
}

impl MoodyRegistry {
    /// Starts it, and waits until it answers.
    ///
    /// # Panics
    /// If it does not start: the words of `scripts/registry` say why.
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        // Free now; nothing else here takes ports of the same kind meanwhile.
        let registry = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let begun = script(folder.path(), &["up", "--port", &registry.to_string()]);
        assert!(begun.status.success(), "{}", String::from_utf8_lossy(&begun.stderr));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared { mood: Mutex::new(Mood::Well), hurt: AtomicUsize::new(0), registry });
        let there = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&there);
                thread::spawn(move || {
                    // A client may leave at any time.
                    let _ = shared.serve(client);
                });
            }
        });
        Self { shared, own, folder }
    }

    /// Where clients find it.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/apis/ccompat/v7", self.own)
    }

    /// How it does from now on. The number of requests that it has not answered well until now.
    pub(crate) fn be(&self, mood: Mood) -> usize {
        *self.shared.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
        self.hurt()
    }

    /// How many requests it has not answered well.
    pub(crate) fn hurt(&self) -> usize {
        self.shared.hurt.load(Ordering::SeqCst)
    }
}

impl Drop for MoodyRegistry {
    fn drop(&mut self) {
        script(self.folder.path(), &["down"]);
    }
}

impl Shared {
    /// One request a connection.
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let mood = *self.mood.lock().unwrap_or_else(PoisonError::into_inner);
        if mood != Mood::Well {
            let number = self.hurt.fetch_add(1, Ordering::SeqCst);
            match mood {
                Mood::Well | Mood::Down => return Ok(()),
                Mood::Slow(time) => {
                    let request = request(&mut client)?;
                    thread::sleep(time);
                    return self.pass(&mut client, &request);
                }
                Mood::Nonsense => {
                    request(&mut client)?;
                    return client.write_all(NONSENSE[number % NONSENSE.len()].as_bytes());
                }
            }
        }
        let request = request(&mut client)?;
        self.pass(&mut client, &request)
    }

    fn pass(&self, client: &mut TcpStream, request: &[u8]) -> io::Result<()> {
        let mut registry = TcpStream::connect(("127.0.0.1", self.registry))?;
        registry.write_all(request)?;
        io::copy(&mut registry, client).map(|_| ())
    }
}

/// A request, made one after whose answer the connection is closed.
fn request(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    const END: &[u8] = b"\r\n\r\n";
    let mut head = Vec::new();
    while !head.ends_with(END) {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    client.read_exact(&mut body)?;
    head.truncate(head.len() - 2);
    Ok([&head[..], b"Connection: close\r\n\r\n", &body].concat())
}

/// Runs `scripts/registry` with a folder of its own. What it leaves behind holds none of our pipes.
fn script(folder: &Path, arguments: &[&str]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/registry");
    let mut command = Command::new(script);
    command.args(arguments).arg("--dir").arg(folder.join("registry")).stdin(Stdio::null());
    command.output().unwrap()
}
