//! CORS in a configuration: a word, or a list of our own.

use super::*;
use crate::service::{Cors, OwnCors};

#[test]
fn cors_is_a_word_or_a_list_of_our_own() {
    let cors = |line: &str| parse(&GOOD.replacen("[[routes]]\n", &format!("[[routes]]\n{line}\n"), 1), &[]);
    let cors = |line: &str| cors(line).unwrap().routes[0].cors.clone();
    assert_eq!(cors(""), Cors::Mirror);
    assert_eq!(cors("cors = 'off'"), Cors::Off);
    let own = |cors: Cors| if let Cors::Own(own) = cors { (*own).clone() } else { panic!("{cors:?}") };
    let least = OwnCors { origins: vec!["*".to_owned()], ..OwnCors::default() };
    assert_eq!(own(cors("cors = { origins = '*' }")), least);
    let whole = own(cors(
        "cors = { origins = ['HTTPS://A.example', '*'], credentials = true, headers = ['X-Token'], \
         methods = 'GET', max_age = '2h' }",
    ));
    assert_eq!(whole.origins, ["https://a.example", "*"]);
    assert_eq!((whole.credentials, whole.max_age), (true, Some(Duration::from_hours(2))));
    assert_eq!((whole.headers, whole.methods), (Some(vec!["X-Token".to_owned()]), vec!["GET".to_owned()]));
}

#[test]
fn a_route_has_its_own_cors_and_the_environment_too() {
    let text =
        GOOD.replacen("[[routes]]\n", "[[routes]]\ncors = 'mirror'\n", 1) + "[defaults]\ncors = 'off'\n";
    assert_eq!(parse(&text, &[]).unwrap().routes[0].cors, Cors::Mirror);
    let env = [("POLLIWOG_DEFAULTS__CORS__ORIGINS", "https://a, https://b")];
    let Cors::Own(own) = parse(GOOD, &env).unwrap().routes[0].cors.clone() else { panic!("not our own") };
    assert_eq!(own.origins, ["https://a", "https://b"]);
    assert_eq!(parse(GOOD, &[("POLLIWOG_DEFAULTS__CORS", "off")]).unwrap().routes[0].cors, Cors::Off);
}

#[test]
fn a_faulty_cors_list_is_told_where_it_is_wrong() {
    let told = |value: &str| fault(&format!("[defaults]\ncors = {value}\n"));
    assert!(
        told("'mirorr'").contains("defaults.cors: found \"mirorr\", expected one of off, mirror, or a table")
    );
    assert!(told("'mirorr'").ends_with("did you mean \"mirror\"?"));
    assert!(told("true").contains("found true, expected one of off, mirror, or a table"));
    assert!(told("{ credentials = true }").contains("defaults.cors.origins: missing"));
    assert!(told("{ origin = '*' }").contains("unknown key; did you mean \"origins\"?"));
    assert!(told("{ origins = 'a.example' }").contains("expected an origin"));
    assert!(told("{ origins = '*', methods = 'GET,POST' }").contains("found \"GET,POST\", expected a name"));
    assert!(
        told("{ origins = '*', max_age = '1500ms' }").contains("found \"1500ms\", expected whole seconds")
    );
}
