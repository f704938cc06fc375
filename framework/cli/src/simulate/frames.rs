//! [`Frames`], the content of a zstd file.

use std::error::Error;
use std::fmt;
use std::io::{self, BufRead, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

const DAMAGED: &str = "the compressed data is corrupt or ends too early; \
                       hint: `zstd --test` says more, perhaps it was not copied to its end";
const WINDOW: &str = "it was compressed with a window of more than 128 MiB; \
                      hint: compress it again without `--ultra` and `--long`";

/// The content of all frames of a zstd file, one after the other, with their checksums verified.
/// Damage is an error of the kind [`io::ErrorKind::InvalidData`].
pub(super) struct Frames<R> {
    source: R,
    decoder: FrameDecoder,
    is_inside: bool,
}

impl<R: BufRead> Frames<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, decoder: FrameDecoder::new(), is_inside: false }
    }

    /// Reads the head of a frame. Frames that zstd says are to be skipped are.
    fn begin(&mut self) -> io::Result<()> {
        match self.decoder.reset(&mut self.source) {
            Ok(()) => self.is_inside = true,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length,
                ..
            })) => {
                let mut skipped = self.source.by_ref().take(length.into());
                if io::copy(&mut skipped, &mut io::sink())? < length.into() {
                    return Err(damaged());
                }
            }
            Err(error) => return Err(refused(&error)),
        }
        Ok(())
    }

    /// Leaves a frame whose content was read to its end.
    fn end(&mut self) -> io::Result<()> {
        let expected = self.decoder.get_checksum_from_data();
        if expected.is_some() && expected != self.decoder.get_calculated_checksum() {
            return Err(damaged());
        }
        self.is_inside = false;
        Ok(())
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !buffer.is_empty() {
            if !self.is_inside {
                if self.source.fill_buf()?.is_empty() {
                    break;
                }
                self.begin()?;
            } else if self.decoder.can_collect() > 0 {
                return self.decoder.read(buffer);
            } else if self.decoder.is_finished() {
                self.end()?;
            } else {
                let decoded = self
                    .decoder
                    .decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1));
                decoded.map_err(|error| refused(&error))?;
            }
        }
        Ok(0)
    }
}

impl<R> fmt::Debug for Frames<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frames").finish_non_exhaustive()
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, DAMAGED)
}

/// The error of the system if there is one behind that of the decoder.
fn refused(error: &FrameDecoderError) -> io::Error {
    if let FrameDecoderError::WindowSizeTooBig { .. } = error {
        return io::Error::new(io::ErrorKind::InvalidData, WINDOW);
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>()
            && io.raw_os_error().is_some()
        {
            return io.kind().into();
        }
        cause = error.source();
    }
    damaged()
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    fn content(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        Frames::new(bytes).read_to_end(&mut content).map(|_| content)
    }

    fn packed(content: &[u8]) -> Vec<u8> {
        compress_to_vec(content, CompressionLevel::Fastest)
    }

    #[test]
    fn the_frames_of_a_file_are_one_content_and_some_are_skipped() {
        let first: Vec<u8> = (0_u32..100_000).flat_map(u32::to_le_bytes).collect();
        let skipped = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        let file = [&packed(&first), &skipped[..], &packed(b""), &packed(b"end")].concat();
        assert_eq!(content(&file).unwrap(), [&first[..], b"end"].concat());
        assert_eq!(content(b"").unwrap(), b"");
    }

    #[test]
    fn a_file_that_ends_too_early_or_goes_on_with_something_else_is_damaged() {
        let file = packed(&b"some text, and some more ".repeat(100));
        for length in 1..file.len() {
            let error = content(&file[..length]).expect_err("it is cut off");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{length}");
        }
        let error = content(&[&file[..], b"x"].concat()).expect_err("there is too much");
        assert_eq!(error.to_string(), DAMAGED);
    }

    #[test]
    fn no_change_of_a_file_goes_unseen_or_panics() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = Rng::with_seed(seed);
        let text: Vec<u8> = (0..5000).map(|_| random.u8(b'a'..=b'f')).collect();
        let file = packed(&text);
        for _ in 0..2000 {
            let mut changed = file.clone();
            let at = random.usize(..changed.len());
            changed[at] ^= 1 << random.u8(..8);
            if let Ok(found) = content(&changed) {
                assert_eq!(found, text, "bit flip in byte {at}");
            }
        }
    }
}
