//! The commands of docs/tls.md, with other ports.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use super::root;

#[test]
fn the_commands_of_the_page_on_tls_do_what_it_says() {
    let page = fs::read_to_string(root().join("docs/tls.md")).unwrap();
    let blocks: Vec<&str> =
        page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("page-tls-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let ports = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [public, admin] = ports.each_ref().map(|port| port.local_addr().unwrap().to_string());
    drop(ports);
    let typed = blocks.concat().replace("127.0.0.1:8443", &public).replace("127.0.0.1:9090", &admin);
    // Ended by its id, whatever happens.
    let ready = format!("until command curl -s -o page http://{admin}/readyz; do sleep 0.1; done");
    let typed = typed.replace(
        "--config tls.toml &\n",
        &format!("--config tls.toml 2>> log &\npids=\"$pids $!\"\n{ready}\n"),
    );
    let script = format!(
        "polliwog() {{ if [ $1 = check ]; then \"$POLLIWOG\" \"$@\"; else exec \"$POLLIWOG\" \"$@\"; fi; }}\n\
         curl() {{ command curl -sS --fail --max-time 20 \"$@\" && echo; }}\npids=\ntrap 'kill $pids; wait' EXIT\n{typed}"
    );
    let output = Command::new("timeout")
        .args(["60", "bash", "-ec", &script])
        .current_dir(&folder)
        .env("POLLIWOG", env!("CARGO_BIN_EXE_polliwog"))
        .env("POLLIWOG_ADMIN__LISTEN", &admin)
        .env("POLLIWOG_SERVER__DRAIN_TIMEOUT", "0s")
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
    let told = format!("{script}\n{out}\n{}\n{log}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");
    assert_eq!(out.lines().filter(|line| line.starts_with("0{\"sid\":")).count(), 4, "{told}");
    for line in
        ["tls.toml: ok (1 listener, 1 route, 1 upstream)", "one.pem: expires on ", "two.pem: expires on "]
    {
        let shown = page.lines().find(|shown| shown.starts_with(line)).unwrap();
        let end = |line: &str| line.rsplit(", in ").next().unwrap().to_owned();
        assert!(out.lines().any(|said| said.starts_with(line) && end(said) == end(shown)), "{told}");
    }
    fs::remove_dir_all(&folder).unwrap();
}
