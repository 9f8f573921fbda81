//! A secret's text cannot leave its type by accident.
#![allow(missing_docs, clippy::unwrap_used)]

use secret_text::secret::SecretText;

#[test]
fn what_would_leak_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/leaks/*.rs");
}

#[test]
fn its_debug_form_is_blank_also_inside_other_types() {
    let secret = SecretText::new("hunter2".to_owned());
    let shown = format!("{secret:?} {:?} {:#?}", Some(&secret), Err::<(), _>(&secret));
    assert!(!shown.contains("hunter2") && shown.contains("[secret]"), "{shown}");
}

fn refuse(secret: SecretText) -> Result<(), SecretText> {
    Err(secret)
}

/// A panic with a secret at hand says nothing of it: there is no form in which it could.
#[test]
fn a_panic_beside_a_secret_does_not_show_it() {
    let caught = std::panic::catch_unwind(|| {
        refuse(SecretText::new("hunter2".to_owned())).unwrap();
    });
    let message = *caught.unwrap_err().downcast::<String>().unwrap();
    assert!(!message.contains("hunter2"), "{message}");
}
