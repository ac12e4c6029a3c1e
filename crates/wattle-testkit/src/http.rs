//! A plain HTTP/1.1 client on blocking sockets, which shares no code with the mesh.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Longest wait for a part of an answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Most header lines of an answer.
const MAX_HEADERS: usize = 256;

/// A request to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Method; empty is GET.
    pub method: String,
    /// Host header.
    pub host: String,
    /// Path and query.
    pub target: String,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// Body; with a length if there is one.
    pub body: Vec<u8>,
}

impl Request {
    /// A GET.
    #[must_use]
    pub fn get(host: &str, target: &str) -> Self {
        Self {
            host: host.to_owned(),
            target: target.to_owned(),
            ..Self::default()
        }
    }

    fn write(&self) -> Vec<u8> {
        let method = if self.method.is_empty() {
            "GET"
        } else {
            &self.method
        };
        let mut text = format!("{method} {} HTTP/1.1\r\nHost: {}\r\n", self.target, self.host);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Headers in their order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
    /// Headers behind the body; those of gRPC alone.
    pub trailers: Vec<(String, String)>,
}

impl Answer {
    /// The first header by this name, which is in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn says_close(&self) -> bool {
        self.header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// A kept connection, one request after the other.
#[derive(Debug)]
pub struct Conversation<S> {
    stream: BufReader<S>,
    /// The server said that it closes.
    ended: bool,
}

impl Conversation<TcpStream> {
    /// Connects by TCP.
    pub fn tcp(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self::on(stream))
    }
}

impl Conversation<UnixStream> {
    /// Connects to a Unix socket.
    pub fn unix(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self::on(stream))
    }
}

impl<S: Read + Write> Conversation<S> {
    /// On a stream that is open.
    pub fn on(stream: S) -> Self {
        Self {
            stream: BufReader::new(stream),
            ended: false,
        }
    }

    /// The server said that this connection takes no further request.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.ended
    }

    /// Sends a request and reads the whole answer.
    pub fn send(&mut self, request: &Request) -> io::Result<Answer> {
        self.stream.get_mut().write_all(&request.write())?;
        let mut answer = self.head()?;
        // Interim answers announce the real one.
        while (100..200).contains(&answer.status) && answer.status != 101 {
            answer = self.head()?;
        }
        self.ended = answer.says_close();
        answer.body = self.body(request, &answer)?;
        Ok(answer)
    }

    fn head(&mut self) -> io::Result<Answer> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("not a status line: {line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(Answer {
                    status,
                    headers,
                    ..Answer::default()
                });
            }
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| io::Error::other(format!("not a header: {line:?}")))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            if headers.len() > MAX_HEADERS {
                return Err(io::Error::other("too many headers"));
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream
            .by_ref()
            .take(64 * 1024)
            .read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        while line.last().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
            line.pop();
        }
        String::from_utf8(line).map_err(io::Error::other)
    }

    fn body(&mut self, request: &Request, answer: &Answer) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if request.method == "HEAD" || matches!(answer.status, 101 | 204 | 304) {
            return Ok(body);
        }
        if let Some(length) = answer.header("content-length") {
            let length = length.parse().map_err(io::Error::other)?;
            body.resize(length, 0);
            self.stream.read_exact(&mut body)?;
        } else if answer.header("transfer-encoding").is_some() {
            while self.chunk(&mut body)? {}
        } else {
            self.ended = true;
            self.stream.read_to_end(&mut body)?;
        }
        Ok(body)
    }

    fn chunk(&mut self, body: &mut Vec<u8>) -> io::Result<bool> {
        let line = self.line()?;
        let length = line.split(';').next().unwrap_or_default().trim();
        let length = usize::from_str_radix(length, 16).map_err(io::Error::other)?;
        if length == 0 {
            while !self.line()?.is_empty() {}
            return Ok(false);
        }
        let start = body.len();
        body.resize(start + length, 0);
        self.stream.read_exact(&mut body[start..])?;
        self.line()?;
        Ok(true)
    }
}

/// One request on a connection of its own.
pub fn ask(address: SocketAddr, request: &Request) -> io::Result<Answer> {
    Conversation::tcp(address)?.send(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    struct Script(Cursor<Vec<u8>>, Vec<u8>);

    impl Read for Script {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn answers_are_read_by_length_by_chunks_and_to_the_end() {
        let said = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi\
                    HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n\
                    HTTP/1.1 503 no\r\nWattle-Reason: overload\r\n\r\nrest";
        let mut conversation = Conversation::on(Script(Cursor::new(said.into()), Vec::new()));
        let mut next = || conversation.send(&Request::get("a", "/")).unwrap();
        assert_eq!(next().text(), "hi");
        assert_eq!(next().text(), "abcd");
        let last = next();
        assert_eq!((last.status, last.text().as_str()), (503, "rest"));
        assert_eq!(last.header("wattle-reason"), Some("overload"));
        assert!(conversation.is_over());
        assert!(
            conversation
                .stream
                .get_ref()
                .1
                .starts_with(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        );
    }
}
