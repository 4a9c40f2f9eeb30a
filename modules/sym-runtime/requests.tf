# The requests and their audit records, one partition a request.

# DynamoDB encrypts it with the account's own key for it (aws/dynamodb).
#tfsec:ignore:aws-dynamodb-table-customer-key
resource "aws_dynamodb_table" "requests" {
  name         = "${local.name}-requests"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "pk"
  range_key    = "sk"

  deletion_protection_enabled = var.deletion_protection

  attribute {
    name = "at"
    type = "S"
  }

  attribute {
    name = "created_at"
    type = "S"
  }

  attribute {
    name = "deadline"
    type = "S"
  }

  attribute {
    name = "kind"
    type = "S"
  }

  attribute {
    name = "open"
    type = "S"
  }

  attribute {
    name = "outbox"
    type = "S"
  }

  attribute {
    name = "pk"
    type = "S"
  }

  attribute {
    name = "sk"
    type = "S"
  }

  global_secondary_index {
    name            = "by_created"
    hash_key        = "kind"
    range_key       = "created_at"
    projection_type = "ALL"
  }

  # Only what is open has these two attributes: the index is as small as the
  # number of requests under way.
  global_secondary_index {
    name            = "by_deadline"
    hash_key        = "open"
    range_key       = "deadline"
    projection_type = "ALL"
  }

  # Only audit records that have yet to be delivered somewhere are in it.
  global_secondary_index {
    name            = "by_outbox"
    hash_key        = "outbox"
    range_key       = "at"
    projection_type = "KEYS_ONLY"
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled = true
  }

  tags = var.tags
}
