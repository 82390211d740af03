//! The commands of docs/reload.md, with other ports, and what the page shows of their output.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

use super::root;

/// A proxy in a folder of its own, with the file `config.toml`.
struct Proxy {
    folder: PathBuf,
    public: String,
    admin: String,
    child: Child,
}

impl Proxy {
    fn start() -> Self {
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("page-reload-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let ports = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [public, admin] = ports.each_ref().map(|port| port.local_addr().unwrap().to_string());
        drop(ports);
        fs::write(folder.join("config.toml"), config(&public, &admin, "engine.io")).unwrap();
        let log = fs::File::create(folder.join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_polliwog"));
        command.args(["run", "--config", "config.toml"]).current_dir(&folder).stderr(log);
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        Self { folder, public, admin, child }
    }

    fn write(&self, admin: &str, dialect: &str) {
        fs::write(self.folder.join("config.toml"), config(&self.public, admin, dialect)).unwrap();
    }

    /// Types a block of the page. Returns whether it succeeds, and what is printed.
    fn types(&self, block: &str) -> (bool, String) {
        let typed = block.replace("127.0.0.1:9090", &self.admin);
        let script = format!(
            "polliwog() {{ \"$POLLIWOG\" \"$@\"; }}\ncurl() {{ command curl -sS --max-time 20 \"$@\"; }}\n{typed}"
        );
        let output = Command::new("bash")
            .args(["-ec", &script])
            .current_dir(&self.folder)
            .env("POLLIWOG", env!("CARGO_BIN_EXE_polliwog"))
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _code = self.child.wait();
        let _gone = fs::remove_dir_all(&self.folder);
    }
}

/// The page's fault is in its ninth line.
fn config(public: &str, admin: &str, dialect: &str) -> String {
    format!(
        "[server]\nlisten = \"{public}\"\n\n[admin]\nlisten = \"{admin}\"\n\n[[routes]]\npath = \"/socket.io/\"\n\
         dialect = \"{dialect}\"\nupstream = \"demo\"\n\n[upstreams.demo]\nkind = \"demo\"\n"
    )
}

/// Returns the one block in a language that has this text in it.
fn block<'p>(page: &'p str, language: &str, text: &str) -> &'p str {
    let start = format!("```{language}\n");
    let blocks = page.split(&*start).skip(1).map(|rest| rest.split("```").next().unwrap());
    let found: Vec<_> = blocks.filter(|block| block.contains(text)).collect();
    assert_eq!(found.len(), 1, "{language} {text}");
    found[0]
}

#[test]
fn the_commands_of_the_page_on_reloads_print_what_it_shows() {
    let page = fs::read_to_string(root().join("docs/reload.md")).unwrap();
    let (reload, check) = (block(&page, "sh", "/api/reload"), block(&page, "sh", "--against"));
    let proxy = Proxy::start();
    let mut looks = 0;
    while proxy.types(reload) != (true, "{\n  \"faults\": []\n}\n".to_owned()) {
        let log = fs::read_to_string(proxy.folder.join("log")).unwrap();
        looks += 1;
        assert!(looks < 600, "{:?} {log}", proxy.types(reload));
        // The interval between two looks.
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(proxy.types(check), (true, block(&page, "text", "it can be reloaded").to_owned()));

    proxy.write(&proxy.admin, "engine.oi");
    assert_eq!(proxy.types(reload), (true, block(&page, "json", "faults").to_owned()));
    proxy.write("127.0.0.1:1", "engine.io");
    let (is_well, told) = proxy.types(check);
    assert!(!is_well && told.ends_with("admin.listen: changes only at a restart\n"), "{told}");
}
