// Versions are in gradle/libs.versions.toml. pom.xml builds the same sources without Gradle; tests check that both agree.
plugins {
    alias(libs.plugins.android.application) apply false
    alias(libs.plugins.android.library) apply false
    alias(libs.plugins.kotlin.android) apply false
}
