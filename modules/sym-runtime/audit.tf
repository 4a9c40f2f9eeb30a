# Where auditors look: a log group of its own and, if wanted, a bucket whose
# objects nobody can change. The table of requests has every record as well.

# Kept longer than other logs: see audit_retention_days.
#
# CloudWatch encrypts it with a key of its own, and it holds no secret.
#tfsec:ignore:aws-cloudwatch-log-group-customer-key
resource "aws_cloudwatch_log_group" "audit" {
  name              = "/sym/${var.runtime_name}/audit"
  retention_in_days = var.audit_retention_days
  skip_destroy      = var.deletion_protection
  tags              = var.tags
}

locals {
  # What the function may do and what it knows, where there is a bucket.
  audit_bucket_statements = [
    for bucket in aws_s3_bucket.audit : {
      Sid      = "KeepAuditBucket"
      Effect   = "Allow"
      Action   = ["s3:PutObject"]
      Resource = ["${bucket.arn}/audit/*"]
    }
  ]
  # No record is written before the lock is on.
  audit_bucket_settings = {
    for lock in aws_s3_bucket_object_lock_configuration.audit :
    "SYM_AUDIT_BUCKET" => lock.bucket
  }
}

# Whoever takes audit_bucket away again has to empty the bucket first, which is
# possible when the last record's days are over.
#
# Who reads it is for CloudTrail's data events to say: a second bucket would have
# to be kept, and locked, as well.
#tfsec:ignore:aws-s3-enable-bucket-logging
#trivy:ignore:AWS-0089
resource "aws_s3_bucket" "audit" {
  count = length(local.audit_buckets)

  # The name has to be nobody else's in the world.
  bucket = format(
    "%s-audit-%s%s", local.name, local.account_id, var.global_suffix
  )
  force_destroy       = false
  object_lock_enabled = true
  tags                = var.tags
}

# Object Lock locks versions.
resource "aws_s3_bucket_versioning" "audit" {
  count = length(aws_s3_bucket.audit)

  bucket = aws_s3_bucket.audit[0].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_object_lock_configuration" "audit" {
  count = length(aws_s3_bucket.audit)

  bucket = aws_s3_bucket.audit[0].id

  rule {
    default_retention {
      days = local.audit_buckets[0].retention_days
      mode = local.audit_buckets[0].mode
    }
  }

  depends_on = [aws_s3_bucket_versioning.audit]
}

# With S3's own key an auditor needs the right to the records and to nothing else.
#tfsec:ignore:aws-s3-encryption-customer-key
resource "aws_s3_bucket_server_side_encryption_configuration" "audit" {
  count = length(aws_s3_bucket.audit)

  bucket = aws_s3_bucket.audit[0].id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "audit" {
  count = length(aws_s3_bucket.audit)

  bucket = aws_s3_bucket.audit[0].id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "audit" {
  count = length(aws_s3_bucket.audit)

  bucket = aws_s3_bucket.audit[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Action    = "s3:*"
        Principal = "*"
        Resource = [
          aws_s3_bucket.audit[0].arn,
          "${aws_s3_bucket.audit[0].arn}/*",
        ]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }
    ]
  })

  # One after the other: S3 refuses two changes of a bucket at once.
  depends_on = [aws_s3_bucket_public_access_block.audit]
}
