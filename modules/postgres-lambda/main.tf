data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

# The function goes into the network of its subnets.
data "aws_subnet" "first" {
  id = var.subnet_ids[0]
}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.name

  # Known before the function is made, so that its own role can name it.
  function_arn = format(
    "arn:%s:lambda:%s:%s:function:%s",
    local.partition, local.region, local.account_id, var.name
  )
}
