//! The link to the host.

use super::field::section;

section! {
    /// The link to the host.
    PcieConfig, "pcie" {
        /// Generation: 2.5, 5, 8, 16, 32 or 64 GT/s per lane.
        generation: u32 = 3, Range(1, 6), "", "PCI Express Base Specification";
        /// Lanes.
        lanes: u32 = 16, OneOf(&[1, 2, 4, 8, 16]), "lanes", "PCI Express Base Specification";
        /// Largest payload of a write or completion TLP.
        max_payload_bytes: u32 = 256, PowerOfTwo(128, 4_096), "bytes", "pcie-bench (SIGCOMM 2018), section 3";
        /// Largest read request.
        max_read_request_bytes: u32 = 512, PowerOfTwo(128, 4_096), "bytes", "pcie-bench (SIGCOMM 2018), section 3";
        /// From a read request leaving the card to its first data arriving.
        read_latency_ns: u32 = 550, Range(1, 10_000_000), "ns", "pcie-bench data: 64-byte DMA read, Haswell and Broadwell, cache warm";
        /// From a posted write leaving the card to its data being visible to the host.
        write_latency_ns: u32 = 250, Range(1, 10_000_000), "ns", "assumed: about half a round trip";
        /// Read requests that may be on their way at once (tags).
        read_tags: u32 = 256, Range(1, 1_024), "requests", "PCI Express Base Specification: tags of 8 bits";
        /// Write TLPs that the host takes before it gives the first credit back.
        posted_credits: u32 = 256, Range(1, 4_096), "TLPs", "assumed";
        /// Rate at which the card's DMA engine hands on what it has read once all of it has come; 0 if it hands on what comes.
        engine_gbps: u32 = 0, Range(0, 10_000), "Gb/s", "assumed";
        /// The host's last-level cache, for the part of its memory that is the card's (a flow table); 0 to take all for cached.
        host_cache_kib: u32 = 0, OneOf(&[0, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536]), "KiB", "assumed";
        /// What a read takes longer that the cache does not answer.
        host_dram_ns: u32 = 76, Range(0, 1_000_000), "ns", "pcie-bench data: Broadwell, command path, 64-byte reads, 412 ns warm and 488 ns cold";
        /// Whether the card's writes go into the host's cache (Intel DDIO) and not past it.
        ddio: bool = true, Flag, "", "assumed";
        /// Pages that the IOTLB of the host's IOMMU holds; 0 if there is no IOMMU.
        iommu_entries: u32 = 0, OneOf(&[0, 16, 32, 64, 128, 256, 512, 1_024]), "pages", "pcie-bench (SIGCOMM 2018), section 6.5: 64";
        /// Bytes of its pages.
        iommu_page_bytes: u32 = 4_096, PowerOfTwo(4_096, 1 << 30), "bytes", "x86: 4 KiB, 2 MiB or 1 GiB";
        /// A walk through the page tables for a page that the IOTLB does not hold.
        iommu_walk_ns: u32 = 286, Range(1, 1_000_000), "ns", "pcie-bench data: Broadwell, command path, 64-byte reads at random in 16 MiB";
        /// Walks at once.
        iommu_walkers: u32 = 6, Range(1, 256), "walks", "pcie-bench data: Broadwell, 64-byte reads at random in 16 MiB, 10.1 Gb/s";
        /// From a TLP that came damaged until it is sent again (NAK, or the end of the replay timer).
        replay_ns: u32 = 1_000, Range(1, 10_000_000), "ns", "assumed";
        /// From a host register write to the card seeing it.
        doorbell_latency_ns: u32 = 200, Range(1, 10_000_000), "ns", "assumed: a posted write";
        /// From the card raising an interrupt to the host's handler running.
        interrupt_latency_ns: u32 = 2_000, Range(1, 10_000_000), "ns", "assumed";
        /// Shortest time between two interrupts.
        interrupt_moderation_ns: u32 = 8_000, Range(0, 1_000_000_000), "ns", "assumed";
        /// Deliveries after which an interrupt does not wait for that time; 0 for no such number.
        interrupt_deliveries: u32 = 0, Range(0, 65_536), "deliveries", "assumed";
    }
}
