import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.android.library)
    alias(libs.plugins.kotlin.android)
}

android {
    namespace = "org.tfyolo.detector"
    compileSdk = libs.versions.targetSdk.get().toInt()
    defaultConfig {
        minSdk = libs.versions.minSdk.get().toInt()
        consumerProguardFiles("../app/proguard-rules.pro")
    }
    compileOptions {
        sourceCompatibility = JavaVersion.toVersion(libs.versions.jvmTarget.get())
        targetCompatibility = JavaVersion.toVersion(libs.versions.jvmTarget.get())
    }
    testOptions.unitTests.all {
        it.systemProperty("demo.models", rootDir.resolve("../build/demo-models").path)
        it.systemProperty("vectors", rootDir.resolve("../tests/vectors").path)
        // These load TensorFlow Lite's library, which runs on a phone, or on Debian under `make test-android`.
        it.exclude("**/DetectorTest*", "**/EngineChoiceTest*", "**/PreprocessorBench*")
    }
}

kotlin {
    compilerOptions.jvmTarget = JvmTarget.fromTarget(libs.versions.jvmTarget.get())
}

dependencies {
    api(libs.litert)
    implementation(libs.litert.gpu)
    implementation(libs.litert.gpu.api)
    testImplementation(libs.junit)
    testImplementation(libs.kotlin.test)
    testImplementation(libs.kotest.property)
    // The SDK's android.jar has org.json without its code.
    testImplementation(libs.json)
}
