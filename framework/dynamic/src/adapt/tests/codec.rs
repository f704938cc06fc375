//! Codecs of libraries: one that gives back what it gets, a wrapper in Rust, and ones that put
//! out what nobody asked for.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use larder_abi::call::{Create, Error};
use larder_abi::table::{CodeFn, CodecContext, CodecVt, codec};
use larder_abi::value::{Bytes, Output, Slice};
use larder_abi::{Status, UNLIMITED};
use larder_conformance::{serializer, wrapper};
use larder_core::plugin::Factory;
use larder_core::wrapper::number_of;
use larder_core::{
    BuildContext, CacheError, ErrorKind, ManualClock, PluginConfig, Result, Role, Serializer,
    SystemClock, WrapContext, Wrapper, WrapperConfig,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::adapt::codec::ForeignCodec;
use crate::adapt::instance::{PATIENCE, Recipe};
use crate::borrow;
use crate::guest::part;
use crate::guest::reply::own;
use crate::library::Table;
use crate::testing;

unsafe extern "C" fn create(_: *const Create, _: *mut *mut c_void, _: *mut Error) -> Status {
    Status::OK
}

unsafe extern "C" fn destroy(_: *mut c_void) {}

/// Puts out what comes in.
unsafe extern "C" fn echo(
    _: *mut c_void,
    _: *const CodecContext,
    input: *const Slice,
    out: *mut Output,
    _: *mut Error,
) -> Status {
    // SAFETY: as the header says.
    let input = unsafe { &*input };
    // SAFETY: as the header says.
    let input = unsafe { borrow::slice(input, "the input") }.unwrap();
    // SAFETY: as the header says.
    unsafe { (*out).bytes = own(input.to_vec()) };
    Status::OK
}

/// Puts out nothing.
unsafe extern "C" fn nothing(
    _: *mut c_void,
    _: *const CodecContext,
    _: *const Slice,
    _: *mut Output,
    _: *mut Error,
) -> Status {
    Status::OK
}

/// Says that it put out more than there is memory.
unsafe extern "C" fn too_much(
    _: *mut c_void,
    _: *const CodecContext,
    input: *const Slice,
    out: *mut Output,
    _: *mut Error,
) -> Status {
    // SAFETY: as the header says.
    let ptr = unsafe { (*input).ptr };
    // SAFETY: as the header says.
    unsafe { (*out).bytes = Bytes { ptr, len: usize::MAX / 2, ..Bytes::EMPTY } };
    Status::OK
}

fn codec_of(table: CodecVt) -> ForeignCodec {
    let table: &'static CodecVt = Box::leak(Box::new(table));
    let recipe = Recipe {
        create: table.create.expect("it has one"),
        destroy: table.destroy.expect("it has one"),
        plugin: "tested",
        component: "tested.codec",
        cache: String::new(),
        options: "{}".to_owned(),
        sink: None,
        max_value_bytes: UNLIMITED,
        entries: UNLIMITED,
        weight: UNLIMITED,
        clock: SystemClock::shared(),
        may_block: false,
        patience: PATIENCE,
    };
    ForeignCodec::new(table, recipe.make().expect("it can be made"), "tested.codec")
}

fn that(encode: CodeFn, decode: CodeFn) -> ForeignCodec {
    codec_of(table_of(encode, decode))
}

fn table_of(encode: CodeFn, decode: CodeFn) -> CodecVt {
    CodecVt {
        struct_size: size_of::<CodecVt>() as u32,
        model: codec::SERIALIZER,
        number: 0,
        reserved: 0,
        create: Some(create),
        destroy: Some(destroy),
        encode: Some(encode),
        decode: Some(decode),
    }
}

fn an_echo() -> ForeignCodec {
    that(echo, echo)
}

serializer!(an_echo, All as an_echo_keeps_the_contract);

static MAY_RETURN: AtomicBool = AtomicBool::new(false);

/// Returns when it may.
unsafe extern "C" fn hangs(_: *const Create, _: *mut *mut c_void, _: *mut Error) -> Status {
    while !MAY_RETURN.load(Ordering::Acquire) {
        std::thread::yield_now();
    }
    Status::OK
}

/// Were it not so, this test would hang until its watcher lets the library go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_codec_that_is_not_made_in_time_is_an_error() {
    let component = testing::codec_of(CodecVt { create: Some(hangs), ..table_of(echo, echo) });
    let Factory::Serializer(factory) = testing::factory(component) else { panic!("a serializer") };
    let manual = ManualClock::new();
    let context = BuildContext::new("slow").clock(Arc::new(manual.clone()));
    let watcher = tokio::task::spawn_blocking(|| {
        let begun = Instant::now();
        while !MAY_RETURN.load(Ordering::Acquire) && begun.elapsed() < Duration::from_secs(20) {
            std::thread::yield_now();
        }
        MAY_RETURN.store(true, Ordering::Release);
    });
    let later = async {
        while manual.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        manual.advance(Duration::from_secs(60));
    };
    let build = async {
        let built = factory.build(serde_json::json!({}), &context).await;
        MAY_RETURN.store(true, Ordering::Release);
        built
    };
    let later = tokio::time::timeout(Duration::from_secs(60), later);
    let (built, later) = tokio::join!(build, later);
    let error = built.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains("did not make it within `30s`"), "{error}");
    later.expect("it was waited for");
    watcher.await.unwrap();
}

static IS_BEGUN: AtomicBool = AtomicBool::new(false);
static IS_MADE: AtomicBool = AtomicBool::new(false);

/// Returns when the test is over.
unsafe extern "C" fn stays(_: *const Create, _: *mut *mut c_void, _: *mut Error) -> Status {
    IS_BEGUN.store(true, Ordering::Release);
    while !IS_MADE.load(Ordering::Acquire) {
        std::thread::yield_now();
    }
    Status::OK
}

#[test]
fn a_runtime_ends_although_a_library_does_not_return_from_create() {
    let component = testing::codec_of(CodecVt { create: Some(stays), ..table_of(echo, echo) });
    let Factory::Serializer(factory) = testing::factory(component) else { panic!("a serializer") };
    let (ended, end) = mpsc::channel();
    let program = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let manual = ManualClock::new();
        let context = BuildContext::new("stuck").clock(Arc::new(manual.clone()));
        let later = async {
            while manual.sleepers() == 0 || !IS_BEGUN.load(Ordering::Acquire) {
                tokio::task::yield_now().await;
            }
            manual.advance(Duration::from_secs(60));
        };
        let build = factory.build(serde_json::json!({}), &context);
        let (built, ()) = runtime.block_on(async { tokio::join!(build, later) });
        drop(runtime);
        ended.send(built.map(drop).unwrap_err().kind()).unwrap();
    });
    let kind = end.recv_timeout(Duration::from_secs(60));
    IS_MADE.store(true, Ordering::Release);
    assert_eq!(kind.expect("it waits for the library"), ErrorKind::Timeout);
    program.join().unwrap();
}

#[test]
fn what_a_codec_should_not_put_out_is_an_error() {
    let context = WrapContext::new("c", "k", 1).max_size(3);
    for broken in [that(nothing, nothing), that(too_much, too_much)] {
        let read = broken.deserialize(b"bytes", &mut |value| {
            larder_core::erased_serde::deserialize::<String>(value).map(drop)
        });
        assert!(read.is_err());
    }
    let error = that(echo, too_much).undo(b"bytes", &context).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Plugin, "{error}");
    let error = an_echo().undo(b"bytes", &context).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Serialization, "{error}");
}

/// A wrapper in Rust: all bits turned, behind a mark.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TurnConfig {}

#[derive(Debug)]
struct Turn;

const MARK: u8 = 0xa5;

#[async_trait]
impl PluginConfig for TurnConfig {
    const KIND: &'static str = "tested.turn";
    const SUMMARY: &'static str = "turns all bits";

    type Plugin = Turn;

    async fn build(self, _: &BuildContext) -> Result<Turn> {
        Ok(Turn)
    }
}

impl WrapperConfig for TurnConfig {
    const ROLE: Role = Role::Encode;
}

impl Wrapper for Turn {
    fn number(&self) -> u16 {
        number_of(TurnConfig::KIND)
    }

    fn wrap(&self, bytes: &[u8], _: &WrapContext<'_>) -> Result<Vec<u8>> {
        Ok([MARK].into_iter().chain(bytes.iter().map(|byte| !byte)).collect())
    }

    fn undo(&self, bytes: &[u8], context: &WrapContext<'_>) -> Result<Vec<u8>> {
        match bytes {
            [MARK, turned @ ..] if turned.len() <= context.max_size => {
                Ok(turned.iter().map(|byte| !byte).collect())
            }
            _ => Err(CacheError::new(ErrorKind::Serialization, "it was not turned")),
        }
    }
}

fn turned() -> ForeignCodec {
    let component = testing::component(part::wrapper::<TurnConfig>().component());
    let Table::Codec(table) = component.table else { panic!("it is a codec") };
    assert_eq!(table.model, codec::ENCODE);
    codec_of(table)
}

wrapper!(turned, Encode as a_wrapper_in_rust_keeps_the_contract);
