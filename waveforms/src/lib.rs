//! waveforms
