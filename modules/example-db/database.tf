# A small Aurora PostgreSQL, made to be thrown away.

resource "aws_db_subnet_group" "this" {
  name        = local.name
  description = "The example database"
  subnet_ids  = aws_subnet.private[*].id
  tags        = var.tags
}

resource "aws_rds_cluster_parameter_group" "this" {
  name        = local.name
  description = "The example database: no connection without TLS"
  family      = "aurora-postgresql16"

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }

  tags = var.tags
}

# Encrypted with the account's own key for databases (aws/rds), and one day of
# backups: an example has nothing to lose, and goes without asking.
#tfsec:ignore:aws-rds-encrypt-cluster-storage-data
#tfsec:ignore:aws-rds-specify-backup-retention
#trivy:ignore:AWS-0343
resource "aws_rds_cluster" "this" {
  cluster_identifier = local.name

  engine         = "aurora-postgresql"
  engine_mode    = "provisioned"
  engine_version = var.engine_version

  database_name                       = "app"
  iam_database_authentication_enabled = true
  manage_master_user_password         = true
  master_username                     = "dbadmin"

  db_cluster_parameter_group_name = aws_rds_cluster_parameter_group.this.name
  db_subnet_group_name            = aws_db_subnet_group.this.name
  storage_encrypted               = true
  vpc_security_group_ids          = [aws_security_group.database.id]

  # A unit is 2 GiB. Logins with an IAM token need 300 to 1000 MiB beside the
  # database, which half a unit does not have. See Aurora's limitations for IAM
  # database authentication.
  serverlessv2_scaling_configuration {
    max_capacity = 2
    min_capacity = 1
  }

  # An example has nothing to lose, and goes at once.
  apply_immediately       = true
  backup_retention_period = 1
  deletion_protection     = false
  skip_final_snapshot     = true

  tags = var.tags
}

# Nobody tunes an example.
#tfsec:ignore:aws-rds-enable-performance-insights
resource "aws_rds_cluster_instance" "this" {
  identifier         = "${local.name}-1"
  cluster_identifier = aws_rds_cluster.this.id

  engine         = aws_rds_cluster.this.engine
  engine_version = aws_rds_cluster.this.engine_version
  instance_class = "db.serverless"

  apply_immediately = true
  # A long-term-support version stays what it is.
  auto_minor_version_upgrade = false
  publicly_accessible        = false

  tags = var.tags
}
