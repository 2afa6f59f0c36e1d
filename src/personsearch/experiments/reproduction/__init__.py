"""The paper's experiments on any data set: stages that leave raw results, and a report of them."""
