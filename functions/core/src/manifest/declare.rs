//! Declares the types of a manifest's text, once for the decoder and for the published schema.

/// Declares a wire type for the decoder and for the published schema, so that no field can be missing from one of them.
macro_rules! wire {
    (
        $(#[$doc:meta])*
        $name:ident {
            $( $(#[$field_doc:meta])* $need:ident $field:ident: $type:ty, )*
            $( ..$group:ident: $group_type:ty, )?
        }
    ) => {
        #[derive(Clone, Debug, schemars::JsonSchema)]
        $(#[$doc])*
        #[schemars(deny_unknown_fields)]
        pub(super) struct $name {
            $( $(#[$field_doc])* pub(super) $field: $crate::manifest::declare::wire!(@$need $type), )*
            $( #[schemars(flatten)] pub(super) $group: $group_type, )?
        }

        impl $crate::manifest::decode::Group for $name {
            fn names() -> Vec<&'static str> {
                #[allow(unused_mut, reason = "only a type with a flattened group extends it")]
                let mut names = vec![$( stringify!($field).trim_start_matches("r#") ),*];
                $( names.extend(<$group_type>::names()); )?
                names
            }

            fn take(
                fields: &mut $crate::manifest::decode::Fields,
                problems: &mut $crate::manifest::problem::Problems,
            ) -> Self {
                Self {
                    $( $field: fields.$need(stringify!($field).trim_start_matches("r#"), problems), )*
                    $( $group: <$group_type>::take(fields, problems), )?
                }
            }

            #[allow(unused_variables, reason = "a type of required fields alone takes nothing")]
            fn or(&self, defaults: Option<&Self>) -> Self {
                Self {
                    $( $field: $crate::manifest::declare::wire!(@or $need self, defaults, $field), )*
                    $( $group: self.$group.or(defaults.map(|defaults| &defaults.$group)), )?
                }
            }
        }

        impl $crate::manifest::decode::Decode for $name {
            fn decode(
                node: $crate::manifest::tree::Node,
                problems: &mut $crate::manifest::problem::Problems,
            ) -> Option<Self> {
                $crate::manifest::decode::decode_group(node, problems)
            }
        }
    };
    (@required $type:ty) => { $crate::manifest::decode::At<$type> };
    (@optional $type:ty) => { Option<$crate::manifest::decode::At<$type>> };
    (@or required $own:ident, $defaults:ident, $field:ident) => { $own.$field.clone() };
    (@or optional $own:ident, $defaults:ident, $field:ident) => {
        $crate::manifest::decode::At::or(
            $own.$field.as_ref(),
            $defaults.and_then(|defaults| defaults.$field.as_ref()),
        )
    };
}
pub(super) use wire;

/// Describes a type that is written as a text. `[…]` holds the type's generics, if any.
macro_rules! text_schema {
    ([$($generics:tt)*] $type:ty, $schema:tt) => {
        impl<$($generics)*> schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }
    };
    ($type:ty, $schema:tt) => {
        $crate::manifest::declare::text_schema!([] $type, $schema);
    };
}
pub(super) use text_schema;

/// Declares a name: its check, the cure of a wrong name, and its schema. A cure after `like` is also given for a
/// number, because a number in quotes would not be right either.
macro_rules! text {
    (@like $cure:literal) => { Some($cure.to_owned()) };
    (@cure $cure:literal) => { None };
    ($(#[$doc:meta])* $name:ident: $check:expr, $kind:ident $cure:literal, $schema:tt) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub(super) struct $name(pub(super) String);

        impl $crate::manifest::decode::Text for $name {
            fn like() -> Option<String> {
                $crate::manifest::declare::text!(@$kind $cure)
            }

            fn read(text: &str) -> Result<Self, (String, String)> {
                let check: fn(&str) -> Result<(), $crate::manifest::NameError> = $check;
                check(text).map_err(|error| (error.to_string(), $cure.to_owned()))?;
                Ok(Self(text.to_owned()))
            }
        }

        $crate::manifest::declare::text_schema!($name, $schema);
    };
}
pub(super) use text;

/// Makes a type that is one of a few words readable.
macro_rules! words {
    ($type:ty, $what:literal, $($word:literal => $value:expr),* $(,)?) => {
        impl $crate::manifest::decode::Text for $type {
            fn like() -> Option<String> {
                Some(format!("write one of {}", $crate::unknown::list(&[$($word),*])))
            }

            fn read(text: &str) -> Result<Self, (String, String)> {
                use $crate::unknown::{stranger, suggest};
                match text {
                    $($word => Ok($value),)*
                    other => Err((
                        format!(concat!("unknown ", $what, " {}"), stranger(other)),
                        suggest(other, &[$($word),*]),
                    )),
                }
            }
        }
    };
}
pub(super) use words;
