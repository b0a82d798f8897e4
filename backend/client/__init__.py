"""The client of Affidavit, on its own: it imports nothing of the service, and needs nothing but httpx."""

from .answers import AnswerStream
from .client import Client
from .errors import AffidavitError, JobFailed, Refused, Unreachable
from .exports import Verified, verify_export
from .models import Answer, Chunk, Citation, Context, Job, Progress, Retrieval

__all__ = [
    "AffidavitError", "Answer", "AnswerStream", "Chunk", "Citation", "Client", "Context", "Job", "JobFailed",
    "Progress", "Refused", "Retrieval", "Unreachable", "Verified", "verify_export",
]  # fmt: skip
