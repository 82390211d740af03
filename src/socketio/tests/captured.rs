//! What socket.io 2.5.1 and 4.8.4 and their clients were recorded to send, with the other side in between.

use super::*;

#[test]
fn an_old_client_meets_a_new_backend() {
    let conversation = r#"
        > 0
        B 0{"sid":"XN0DNTAs5lUZP_5yAAAA"}
        root XN0DNTAs5lUZP_5yAAAA
        < 0
        B 2["hi",1]
        < 2["hi",1]
        B 51-["bin",{"_placeholder":true,"num":0},"é"]
        < 51-["bin",{"_placeholder":true,"num":0},"é"]
        B #12
        < #12
        C 20["e","a",{"x":1}]
        > 20["e","a",{"x":1}]
        C 52-1["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]
        > 52-1["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]
        C #9
        > #9
        B 30["a",{"x":1}]
        < 30["a",{"x":1}]
        C #8
        > #8
        B 62-1[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]
        < 62-1[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]
        B #9
        < #9
        B #8
        < #8
        C 0/nsp,
        > 0/nsp,
        C 0/nsp,
        B 0/nsp,{"sid":"1hvKztrIT0a7fefUAAAB"}
        < 0/nsp,
        B 2/nsp,["nhi"]
        < 2/nsp,["nhi"]
        C 1/nsp,
        > 1/nsp,
        C 0/nsp?t=ok&u=%C3%A9%20a%26b%3Dc%2Bd%2C'(1)!*~&n=5&b=true,
        > 0/nsp,{"b":"true","n":"5","t":"ok","u":"é a&b=c+d,'(1)!*~"}
        B 0/nsp,{"sid":"Nm3pjBhDAgwGPeiqAAAD","pid":"0f3QyBMZpjaqFvV0AAAC"}
        < 0/nsp,
        C 2/nsp,["kick"]
        > 2/nsp,["kick"]
        B 1/nsp,
        < 1/nsp,
        C 0/no?t=no,
        > 0/no,{"t":"no"}
        B 4/no,{"message":"denied"}
        < 4/no,"denied"
        C 0/data?t=data,
        > 0/data,{"t":"data"}
        B 4/data,{"message":"m","data":{"b":1,"a":2}}
        < 4/data,{"b":1,"a":2}
        C 0/none,
        > 0/none,
        B 4/none,{"message":"Invalid namespace"}
        < 4/none,"Invalid namespace"
        C 1
        > 1
    "#;
    play(Translator::old_client(), conversation);
}

#[test]
fn a_new_client_meets_an_old_backend() {
    let conversation = r#"
        B 0
        B 2["hi",1]
        B 51-["bin",{"_placeholder":true,"num":0},"é"]
        B #12
        C 0
        < 0{"sid":"t3o86i16THt4g3RmAAAA"}
        < 2["hi",1]
        < 51-["bin",{"_placeholder":true,"num":0},"é"]
        < #12
        C 20["e","a",{"x":1}]
        > 20["e","a",{"x":1}]
        C 52-1["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]
        > 52-1["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]
        C #9
        > #9
        C #8
        > #8
        B 30["a",{"x":1}]
        < 30["a",{"x":1}]
        B 4"mw says no"
        < 2["error","mw says no"]
        C 0/nsp,
        > 0/nsp,
        B 0/nsp,
        < 0/nsp,{"sid":"/nsp#t3o86i16THt4g3RmAAAA"}
        B 2/nsp,["nhi"]
        < 2/nsp,["nhi"]
        C 1/nsp,
        > 1/nsp,
        C 0/nsp,{"t":"ok","u":"é a&b=c+d,'(1)!*~","n":5,"b":true}
        > 0/nsp?b=true&n=5&t=ok&u=%C3%A9%20a%26b%3Dc%2Bd%2C'(1)!*~,
        B 0/nsp,
        < 0/nsp,{"sid":"/nsp#t3o86i16THt4g3RmAAAA"}
        C 2/nsp,["kick"]
        > 2/nsp,["kick"]
        B 1/nsp,
        < 1/nsp,
        C 0/no,{"t":"no"}
        > 0/no?t=no,
        B 4/no,"denied"
        < 4/no,{"message":"denied"}
        C 0/data,{"t":"data"}
        > 0/data?t=data,
        B 4/data,{"b":1,"a":2}
        < 4/data,{"message":"error","data":{"b":1,"a":2}}
        C 0/none,
        > 0/none,
        B 4/none,"Invalid namespace"
        < 4/none,{"message":"Invalid namespace"}
        C 1
        > 1
    "#;
    play(Translator::new_client("t3o86i16THt4g3RmAAAA"), conversation);
}
