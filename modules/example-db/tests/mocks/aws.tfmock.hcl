# What the tests here need to know of AWS.

mock_data "aws_availability_zones" {
  defaults = { names = ["eu-west-1b", "eu-west-1a", "eu-west-1c"] }
}

mock_data "aws_caller_identity" {
  defaults = { account_id = "111111111111" }
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

mock_resource "aws_cloudwatch_log_group" {
  defaults = { arn = "arn:aws:logs:eu-west-1:111111111111:log-group:g" }
}

mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::111111111111:role/sym/mock" }
}

mock_resource "aws_instance" {
  defaults = { id = "i-0123456789abcdef0" }
}

mock_resource "aws_lambda_invocation" {
  defaults = { result = "{\"body\":{},\"errors\":[]}" }
}

mock_resource "aws_rds_cluster" {
  defaults = {
    cluster_resource_id = "cluster-ABC"
    endpoint            = "db.example.com"
    master_user_secret = [{
      secret_arn = "arn:aws:secretsmanager:eu-west-1:111111111111:secret:m"
    }]
    port = 5432
  }
}

mock_resource "aws_secretsmanager_secret" {
  defaults = {
    arn = "arn:aws:secretsmanager:eu-west-1:111111111111:secret:u"
  }
}
