"""The services around SageMaker, as far as moto has them not or not so."""
