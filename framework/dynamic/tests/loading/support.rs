//! Libraries made by the C compiler of the machine, each in a directory of its own.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use larder_abi::value::Slice;
use larder_abi::{ABI_MAJOR, ABI_MINOR, Host};
use larder_core::library::{Fault, LibraryRequest, Refusal, Trust};
use larder_dynamic::{Library, Loader};
use minisign::KeyPair;

/// A library and whether its code ran.
pub(crate) struct Made {
    folder: tempfile::TempDir,
    name: String,
}

/// A plugin of this name, with parts replaced.
pub(crate) fn plugin(name: &str, options: &[&str]) -> Made {
    let made = nothing(name);
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/loading/plugin.c");
    made.compile(source, "acme.so", options);
    made
}

/// A directory that passes the checks, and no library in it.
pub(crate) fn nothing(name: &str) -> Made {
    let folder = tempfile::tempdir().unwrap();
    Made { folder, name: name.to_owned() }
}

impl Made {
    /// Compiles a source to a file of the directory.
    pub(crate) fn compile(&self, source: &str, file: &str, options: &[&str]) {
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let include = concat!("-I", env!("CARGO_MANIFEST_DIR"), "/../abi/include");
        let output = Command::new(&compiler)
            .args(["-std=gnu11", "-shared", "-fPIC", "-O1", "-w", include])
            .arg(format!("-DNAME=\"{}\"", self.name))
            .arg(format!("-DPROBE=\"{}\"", self.probe().display()))
            .arg("-o")
            .arg(self.at(file))
            .arg(source)
            .args(options)
            .output()
            .unwrap_or_else(|error| panic!("install `{compiler}` or set CC: {error}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{options:?}: {said}");
        set_mode(&self.at(file), 0o755);
    }

    /// Where something is in the directory, without links on the way.
    pub(crate) fn at(&self, file: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(file)
    }

    fn probe(&self) -> PathBuf {
        self.at("ran")
    }

    /// What ran: `c` for the constructor, `e` for the entry function.
    pub(crate) fn ran(&self) -> String {
        std::fs::read_to_string(self.probe()).unwrap_or_default()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.at("acme.so")).unwrap()
    }

    /// Puts other bytes in place of the library.
    pub(crate) fn write(&self, bytes: &[u8]) {
        write(&self.at("acme.so"), bytes);
    }

    /// Changes the bytes at the place of the stamp.
    pub(crate) fn patch_stamp(&self, offset: usize, with: &[u8]) {
        let mut bytes = self.bytes();
        let at = stamp_of(&bytes) + offset;
        bytes[at..at + with.len()].copy_from_slice(with);
        self.write(&bytes);
    }

    /// A request for it, trusted because of its path.
    pub(crate) fn request(&self) -> LibraryRequest {
        LibraryRequest::new(&self.name, self.at("acme.so")).trust(Trust::Path)
    }

    pub(crate) fn open(&self) -> Result<&'static Library, Box<Refusal>> {
        loader().open(&self.request())
    }

    /// The refusal of a library, of which nothing ran.
    #[track_caller]
    pub(crate) fn refused(&self, fault: Fault) -> String {
        let text = self.refused_after_it_ran(fault);
        assert_eq!(self.ran(), "", "code of it ran");
        text
    }

    /// The refusal of a library whose code may have run.
    #[track_caller]
    pub(crate) fn refused_after_it_ran(&self, fault: Fault) -> String {
        let refusal = self.open().expect_err("it was loaded");
        assert_eq!(refusal.fault, fault, "{refusal}");
        refusal.to_string()
    }
}

/// Somebody who signs libraries.
pub(crate) struct Signer(KeyPair);

impl Signer {
    pub(crate) fn new() -> Self {
        Self(KeyPair::generate_unencrypted_keypair().unwrap())
    }

    /// The key as a config has it.
    pub(crate) fn key(&self) -> String {
        self.0.pk.to_base64()
    }

    /// The signature of these bytes, which says that they are of this file.
    pub(crate) fn signature(&self, bytes: &[u8], file: &str) -> String {
        let (comment, KeyPair { pk, sk }) = (format!("file:{file}"), &self.0);
        minisign::sign(Some(pk), sk, bytes, Some(&comment), None).unwrap().into_string()
    }

    /// Signs the library and puts the signature beside it.
    pub(crate) fn sign(&self, made: &Made) {
        let signature = self.signature(&made.bytes(), "acme.so");
        write(&made.at("acme.so.minisig"), signature.as_bytes());
    }
}

/// Where the stamp begins.
pub(crate) fn stamp_of(bytes: &[u8]) -> usize {
    let magic = larder_abi::descriptor::STAMP_MAGIC;
    bytes.windows(magic.len()).position(|window| window == magic).unwrap()
}

pub(crate) fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
    set_mode(path, 0o755);
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A loader whose host offers nothing: the plugins here do not use it.
pub(crate) fn loader() -> Loader {
    let host = Host {
        struct_size: size_of::<Host>() as u32,
        abi_major: ABI_MAJOR,
        abi_minor: ABI_MINOR,
        version: Slice::new(b"0.0.0"),
        max_log_level: Box::leak(Box::new(0)),
        log: None,
        op_defer: None,
        op_is_cancelled: None,
        op_complete: None,
        bytes_new: None,
        spawn_blocking: None,
        now_us: None,
        panicked: None,
        sink_invalidate: None,
        sink_lost_track: None,
        sink_apply: None,
        query: None,
    };
    Loader::with_host(Box::leak(Box::new(host)))
}
