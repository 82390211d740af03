//! What the binary says of its own commands: suggestions, completions and manual pages.

use std::fs;

use super::{Place, code, err, out};

const COMMANDS: [&str; 6] = ["run", "check", "health", "load", "doctor", "completions"];

#[test]
fn a_command_or_an_option_that_is_nearly_right_is_suggested() {
    let place = Place::new("suggestions");
    for (args, meant) in [
        (&["chek"][..], "'check'"),
        (&["check", "--clustr"], "'--cluster'"),
        (&["load", "--sesions", "1"], "'--sessions'"),
    ] {
        let output = place.polliwog(args, &[]);
        assert_eq!((code(&output), out(&output)), (2, ""));
        assert!(err(&output).contains(meant), "{}", err(&output));
    }
}

#[test]
fn help_is_a_command_and_says_what_the_option_says() {
    let place = Place::new("help_command");
    for name in COMMANDS {
        let asked = place.polliwog(&["help", name], &[]);
        assert_eq!((code(&asked), err(&asked)), (0, ""));
        assert_eq!(out(&asked), out(&place.polliwog(&[name, "--help"], &[])));
        assert!(out(&asked).lines().all(|line| line.len() <= 100), "{}", out(&asked));
    }
}

#[test]
fn completions_know_each_command() {
    let place = Place::new("completions");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = place.polliwog(&["completions", shell], &[]);
        assert_eq!((code(&output), err(&output)), (0, ""));
        for name in COMMANDS {
            assert!(out(&output).contains(name), "{shell}: no {name}");
        }
    }
    assert_eq!(code(&place.polliwog(&["completions", "sh"], &[])), 2);
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let place = Place::new("manual");
    fs::create_dir(place.0.join("man1")).unwrap();
    let output = place.polliwog(&["man", "man1"], &[]);
    assert_eq!((code(&output), out(&output), err(&output)), (0, "", ""));
    let page = |name: &str| fs::read_to_string(place.0.join("man1").join(name)).unwrap();
    let whole = page("polliwog.1");
    assert!(whole.contains(".TH polliwog 1") && whole.contains("POLLIWOG_SERVER__LISTEN"), "{whole}");
    for name in COMMANDS {
        assert!(whole.contains(&format!("polliwog\\-{name}(1)")), "{name}: {whole}");
        assert!(page(&format!("polliwog-{name}.1")).contains(&format!(".TH polliwog-{name} 1")), "{name}");
    }
    assert_eq!(fs::read_dir(place.0.join("man1")).unwrap().count(), 1 + COMMANDS.len());
    let nowhere = place.polliwog(&["man", "nowhere"], &[]);
    assert_eq!((code(&nowhere), out(&nowhere)), (1, ""));
    assert!(err(&nowhere).contains("nowhere"), "{}", err(&nowhere));
}
