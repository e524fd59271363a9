//! A Redis server of a test's own, on a port of its own, with nothing on disk. It ends with the test.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

pub(crate) struct Server {
    port: u16,
    options: Vec<String>,
    process: Option<Child>,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// With options such as `--requirepass secret`.
    pub(crate) fn start_with(options: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let options = options.iter().map(|&option| option.to_owned()).collect();
        let mut server = Self { port, options, process: None };
        server.begin();
        server
    }

    /// An address at which nothing listens.
    pub(crate) fn nowhere() -> String {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        format!("redis://127.0.0.1:{port}")
    }

    pub(crate) fn uri(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Starts it, again after [`Server::end`], and waits until it serves.
    pub(crate) fn begin(&mut self) {
        let port = self.port.to_string();
        let mut process = Command::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(&self.options)
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-server starts: install Debian's redis-server or your system's");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let ready =
            lines.by_ref().map(Result::unwrap).any(|line| line.contains("Ready to accept connections"));
        assert!(ready, "redis-server ended before it served");
        // What it says later must go somewhere.
        std::thread::spawn(move || lines.for_each(drop));
        self.process = Some(process);
    }

    /// Ends it at once, with everything in it.
    pub(crate) fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Stops it from running, with all its connections open.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it run on.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(self.process.as_ref().unwrap());
        kill_process(pid, signal).unwrap();
    }

    /// What it answers to a command of one line, up to the first line that is only this.
    pub(crate) fn command(&self, command: &str) -> Vec<String> {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        connection.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).unwrap();
        let lines: Vec<_> = BufReader::new(connection).lines().map(Result::unwrap).collect();
        let (last, answer) = lines.split_last().unwrap();
        assert_eq!(last, "+OK");
        answer.to_vec()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}
