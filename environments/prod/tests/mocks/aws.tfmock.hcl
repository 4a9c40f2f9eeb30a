# What the tests here need to know of AWS.

mock_data "aws_availability_zones" {
  defaults = { names = ["eu-west-1b", "eu-west-1a", "eu-west-1c"] }
}

mock_data "aws_caller_identity" {
  defaults = { account_id = "111111111111" }
}

mock_data "aws_lambda_invocation" {
  defaults = { result = "{\"problems\":[]}" }
}

mock_data "aws_partition" {
  defaults = { dns_suffix = "amazonaws.com", partition = "aws" }
}

mock_data "aws_region" {
  defaults = { name = "eu-west-1" }
}

mock_data "aws_ssm_parameter" {
  defaults = { insecure_value = "ami-0123456789abcdef0" }
}

mock_resource "aws_lambda_invocation" {
  defaults = { result = "{\"body\":{},\"errors\":[]}" }
}
