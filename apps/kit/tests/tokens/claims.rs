//! What a token says.

use core::time::Duration;

use serde_json::{Value, json};
use sockeye_kit::token::{KeyArgs, TokenError};

use crate::bench::{NOW, SECRET, TempFile, args, hs256, now, token, token_of_text, verifier};

#[test]
fn a_good_token_says_who_and_until_when() {
    let verifier = hs256("good");
    let claims = verifier.verify(&token(&json!({"id": "ana", "exp": NOW + 60})), now());
    let claims = claims.expect("valid");
    assert_eq!(claims.id.as_str(), "ana");
    assert_eq!(claims.left(now()), Duration::from_secs(60));
    assert_eq!(claims.left(now() + Duration::from_secs(61)), Duration::ZERO);
    // Others' claims are of no interest.
    let rich = json!({
        "id": "ana", "exp": NOW + 60, "nbf": NOW, "iat": "never", "aud": "others",
        "iss": 5, "sub": "x", "admin": true,
    });
    assert!(verifier.verify(&token(&rich), now()).is_ok());
}

#[test]
fn exp_is_a_number_and_refused_from_its_second_on() {
    let verifier = hs256("exp");
    let verify = |exp: Value| verifier.verify(&token(&json!({"id": "ana", "exp": exp})), now());
    for exp in [
        json!(NOW),
        json!(NOW - 1),
        json!(0),
        json!(-5),
        json!(-1e300),
    ] {
        assert_eq!(verify(exp.clone()), Err(TokenError::Expired), "{exp}");
    }
    let fraction = NOW as f64 + 0.25;
    let claims = verify(json!(fraction)).expect("valid");
    assert_eq!(claims.left(now()), Duration::from_millis(250));
    let later = now() + Duration::from_millis(250);
    let expired = verifier.verify(&token(&json!({"id": "ana", "exp": fraction})), later);
    assert_eq!(expired, Err(TokenError::Expired));
    // Far away, beyond what can be counted.
    for exp in [json!(1e300), json!(u64::MAX)] {
        let claims = verify(exp).expect("valid");
        assert!(claims.left(now()) > Duration::from_secs(1 << 40));
    }
    for exp in [
        json!(format!("{}", NOW + 60)),
        json!(null),
        json!(true),
        json!([NOW + 60]),
        json!({"in": 60}),
    ] {
        assert_eq!(verify(exp.clone()), Err(TokenError::Invalid), "{exp}");
    }
    let without = verifier.verify(&token(&json!({"id": "ana"})), now());
    assert_eq!(without, Err(TokenError::Invalid));
    for text in [
        format!(r#"{{"id":"ana","exp":{},"exp":{}}}"#, NOW - 60, NOW + 60),
        format!(r#"{{"id":"ana","id":"bob","exp":{}}}"#, NOW + 60),
        String::from(r#"{"id":"ana","exp":1e999}"#),
        String::from(r#"{"id":"ana","exp":NaN}"#),
    ] {
        let repeated = verifier.verify(&token_of_text(&text), now());
        assert_eq!(repeated, Err(TokenError::Invalid), "{text}");
    }
}

#[test]
fn nbf_is_a_number_and_past_if_it_is_there() {
    let verifier = hs256("nbf");
    let verify = |nbf: Value| {
        let claims = json!({"id": "ana", "exp": NOW + 60, "nbf": nbf});
        verifier.verify(&token(&claims), now())
    };
    for nbf in [json!(NOW), json!(NOW - 1), json!(0.5), json!(-1)] {
        assert!(verify(nbf.clone()).is_ok(), "{nbf}");
    }
    for nbf in [
        json!(NOW + 1),
        json!(NOW as f64 + 0.5),
        json!("0"),
        json!(null),
    ] {
        assert_eq!(verify(nbf.clone()), Err(TokenError::Invalid), "{nbf}");
    }
}

#[test]
fn the_id_is_a_name() {
    let verifier = hs256("id");
    for id in [
        json!(""),
        json!("a b"),
        json!("e\u{301}"),
        json!(5),
        json!(null),
    ] {
        let refused = verifier.verify(&token(&json!({"id": id, "exp": NOW + 60})), now());
        assert_eq!(refused, Err(TokenError::Invalid), "{id}");
    }
    let without = verifier.verify(&token(&json!({"exp": NOW + 60})), now());
    assert_eq!(without, Err(TokenError::Invalid));
}

#[test]
fn audience_and_issuer_are_needed_where_they_are_given() {
    let file = TempFile::new("aud", SECRET);
    let verifier = verifier(&KeyArgs {
        jwt_aud: Some("chat".into()),
        jwt_iss: Some("login.example".into()),
        ..args(&file.0, None)
    });
    let verify = |aud: Value, iss: Value| {
        let mut claims = json!({"id": "ana", "exp": NOW + 60});
        for (name, value) in [("aud", aud), ("iss", iss)] {
            if !value.is_null() {
                claims[name] = value;
            }
        }
        verifier.verify(&token(&claims), now())
    };
    let issuer = || json!("login.example");
    assert!(verify(json!("chat"), issuer()).is_ok());
    assert!(verify(json!(["shop", "chat"]), issuer()).is_ok());
    for (aud, iss) in [
        (json!("shop"), issuer()),
        (json!("chat2"), issuer()),
        (json!([]), issuer()),
        (json!(["shop"]), issuer()),
        (json!(7), issuer()),
        (json!({"chat": true}), issuer()),
        (Value::Null, issuer()),
        (json!("chat"), Value::Null),
        (json!("chat"), json!("login.example.evil")),
        (json!("chat"), json!(["evil.example"])),
        (json!("chat"), json!(1)),
    ] {
        let refused = verify(aud.clone(), iss.clone());
        assert_eq!(refused, Err(TokenError::Invalid), "{aud} {iss}");
    }
}
