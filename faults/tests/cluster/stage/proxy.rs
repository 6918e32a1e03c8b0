//! Between a worker and its brokers: passes every request and answer on, and can hold the one that a test asks
//! for, at exactly that step of a round.
//!
//! The brokers' addresses in their answers are replaced by the proxy's own, so that every connection comes
//! this way.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Requests of a transaction, by their numbers in Kafka's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    /// Records, of whatever topic.
    Produce = 0,
    /// The partitions that a transaction is about to write to.
    AddPartitions = 24,
    /// The end of a transaction.
    EndTxn = 26,
    /// The positions of a group, within a transaction.
    TxnOffsetCommit = 28,
}

/// A moment in a connection's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// A request has come, and the broker has not seen it.
    Before(Api),
    /// The broker has answered, and the worker has not seen it.
    After(Api),
}

/// A frame that waits for a word.
pub(crate) struct Held(Sender<bool>);

impl Held {
    /// It goes on its way.
    pub(crate) fn forward(self) {
        // The connection may have ended meanwhile.
        let _ = self.0.send(true);
    }

    /// Its connection is cut, both ways, and it is lost.
    pub(crate) fn cut(self) {
        let _ = self.0.send(false);
    }
}

/// A frame that was asked for.
pub(crate) struct Catch(Receiver<Held>);

impl Catch {
    /// Waits until it is there.
    pub(crate) fn wait(&self, patience: Duration) -> Option<Held> {
        self.0.recv_timeout(patience).ok()
    }
}

/// What a test wants to happen.
#[derive(Default)]
struct Wishes {
    held: Mutex<Vec<(Moment, Sender<Held>)>>,
    /// Cut at each of these, again and again.
    cut: Mutex<Vec<Moment>>,
    cuts: AtomicUsize,
    severed: AtomicBool,
    /// Ends of every connection that was made.
    ends: Mutex<Vec<TcpStream>>,
}

impl Wishes {
    /// Holds a frame if someone has asked for this moment. False: its connection is to be cut.
    fn pass(&self, moment: impl Fn(Moment) -> bool) -> bool {
        if self.cut.lock().unwrap().iter().any(|wanted| moment(*wanted)) {
            self.cuts.fetch_add(1, Ordering::SeqCst);
            return false;
        }
        let wish = {
            let mut wishes = self.held.lock().unwrap();
            let found = wishes.iter().position(|(wanted, _)| moment(*wanted));
            found.map(|index| wishes.remove(index).1)
        };
        let Some(wish) = wish else { return true };
        let (word, verdict) = channel();
        // Whoever asked may not wait for it any more; then it goes on.
        wish.send(Held(word)).is_err() || verdict.recv().unwrap_or(false)
    }
}

/// A proxy before each broker.
pub(crate) struct Proxy {
    ports: Vec<(u16, u16)>,
    wishes: Arc<Wishes>,
}

impl Proxy {
    /// Before the brokers of an address `kafka:127.0.0.1:PORT,…`.
    pub(crate) fn before(address: &str) -> Self {
        let brokers = address.strip_prefix("kafka:").expect("an address of brokers").split(',');
        let brokers: Vec<SocketAddr> = brokers.map(|broker| broker.parse().expect("IP:PORT")).collect();
        let listeners: Vec<TcpListener> =
            brokers.iter().map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let own = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let ports: Vec<_> =
            brokers.iter().zip(&listeners).map(|(broker, listener)| (broker.port(), own(listener))).collect();
        let wishes = Arc::new(Wishes::default());
        for (broker, listener) in brokers.into_iter().zip(listeners) {
            let (ports, wishes) = (ports.clone(), Arc::clone(&wishes));
            thread::spawn(move || {
                for client in listener.incoming().map_while(Result::ok) {
                    if wishes.severed.load(Ordering::SeqCst) {
                        continue;
                    }
                    // Without a broker there is no connection: the client sees it closed.
                    let Ok(server) = TcpStream::connect(broker) else { continue };
                    let _ = connect(client, server, &ports, &wishes);
                }
            });
        }
        Self { ports, wishes }
    }

    /// Where clients find it.
    pub(crate) fn address(&self) -> String {
        let own: Vec<String> = self.ports.iter().map(|(_, own)| format!("127.0.0.1:{own}")).collect();
        format!("kafka:{}", own.join(","))
    }

    /// Holds the next frame at this moment.
    pub(crate) fn catch(&self, moment: Moment) -> Catch {
        let (sender, receiver) = channel();
        self.wishes.held.lock().unwrap().push((moment, sender));
        Catch(receiver)
    }

    /// Cuts the connection at each such moment from now on; [`Proxy::mend`] ends it.
    pub(crate) fn cut(&self, moment: Moment) {
        self.wishes.cut.lock().unwrap().push(moment);
    }

    /// Cuts every connection, and takes no new one before [`Proxy::mend`].
    pub(crate) fn sever(&self) {
        self.wishes.severed.store(true, Ordering::SeqCst);
        for end in self.wishes.ends.lock().unwrap().drain(..) {
            // It may be closed already.
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// Everything goes its way again.
    pub(crate) fn mend(&self) {
        self.wishes.cut.lock().unwrap().clear();
        self.wishes.severed.store(false, Ordering::SeqCst);
    }

    /// How often [`Proxy::cut`] has cut.
    pub(crate) fn cuts(&self) -> usize {
        self.wishes.cuts.load(Ordering::SeqCst)
    }
}

/// Requests under way on one connection: their numbers in the protocol, by correlation id.
type Asked = Arc<Mutex<HashMap<[u8; 4], i16>>>;

fn connect(
    client: TcpStream,
    server: TcpStream,
    ports: &[(u16, u16)],
    wishes: &Arc<Wishes>,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let asked = Asked::default();
    wishes.ends.lock().unwrap().extend([client.try_clone()?, server.try_clone()?]);
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    let (known, wanted) = (Arc::clone(&asked), Arc::clone(wishes));
    thread::spawn(move || {
        // The end of a connection is no failure.
        let _ = pump(&mut from, &mut to, |frame| {
            let api = i16::from_be_bytes([frame[0], frame[1]]);
            known.lock().unwrap().insert([frame[4], frame[5], frame[6], frame[7]], api);
            wanted.pass(|moment| matches!(moment, Moment::Before(wanted) if wanted as i16 == api))
        });
    });
    let (mut from, mut to) = (server, client);
    let (ports, wishes) = (ports.to_vec(), Arc::clone(wishes));
    thread::spawn(move || {
        let _ = pump(&mut from, &mut to, |frame| {
            let api = asked.lock().unwrap().remove(&[frame[0], frame[1], frame[2], frame[3]]);
            readdress(frame, &ports);
            wishes.pass(|moment| matches!(moment, Moment::After(wanted) if Some(wanted as i16) == api))
        });
    });
    Ok(())
}

/// Passes frames on until an end of the connection is gone, or `pass` wants it cut. Then both are closed.
fn pump(from: &mut TcpStream, to: &mut TcpStream, mut pass: impl FnMut(&mut [u8]) -> bool) -> io::Result<()> {
    let mut frame = Vec::new();
    let outcome = loop {
        let mut length = [0; 4];
        if let Err(error) = from.read_exact(&mut length) {
            break Err(error);
        }
        frame.resize(u32::from_be_bytes(length) as usize, 0);
        if let Err(error) = from.read_exact(&mut frame) {
            break Err(error);
        }
        if !pass(&mut frame) {
            break Ok(());
        }
        if let Err(error) = to.write_all(&length).and_then(|()| to.write_all(&frame)) {
            break Err(error);
        }
    };
    // Either may be closed already.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
    outcome
}

/// Replaces the brokers' ports by the proxy's: in Kafka's protocol a port is four bytes behind its host.
fn readdress(frame: &mut [u8], ports: &[(u16, u16)]) {
    const HOST: &[u8] = b"127.0.0.1";
    let mut at = 0;
    while at + HOST.len() + 4 <= frame.len() {
        if &frame[at..at + HOST.len()] != HOST {
            at += 1;
            continue;
        }
        at += HOST.len();
        let port = i32::from_be_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]]);
        if let Some((_, own)) = ports.iter().find(|(broker, _)| i32::from(*broker) == port) {
            frame[at..at + 4].copy_from_slice(&i32::from(*own).to_be_bytes());
        }
    }
}
