fn main() {
    let secret = secret_text::secret::SecretText::new("hunter2".to_owned());
    let _text: &str = &secret;
}
