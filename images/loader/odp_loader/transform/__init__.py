"""What happens to rows between source and sink."""

from odp_loader.transform.chain import Chain, compile_chain, probe

__all__ = ["Chain", "compile_chain", "probe"]
